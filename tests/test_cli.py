"""The `deepdive` command: hints, stubs and assets; a slip ends with a sentence, not with a traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deepdive.course import Course
from tests.conftest import SOLUTION, Run


def test_hints_come_one_by_one_and_say_how_to_get_the_next(run: Run) -> None:
    first, last = run("deepdive", "hint", "double"), run("deepdive", "hint", "double", "3")
    assert "hint 1 of 3" in first.stdout
    assert "What is x + x?" in first.stdout
    assert "2 * x" not in first.stdout
    assert "Still stuck?  deepdive hint double" in first.stdout
    assert "Arrays multiply" in run("deepdive", "hint", "double").stdout  # the next, when asked again
    assert "2 * x" in last.stdout
    assert "Still stuck" not in last.stdout


def test_a_terminal_that_knows_ascii_only_gets_a_hint_too(run: Run) -> None:
    result = run("deepdive", "hint", "double", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert "What is x + x?" in result.stdout


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("hint", "duoble"), "there is no exercise 'duoble'; did you mean double?"),
        (("hint", "double", "4"), "double has 3 hints, no number 4"),
        (("hint", "halves"), "halves has no hints"),
    ],
)
def test_a_slip_is_answered_with_a_sentence(run: Run, command: tuple[str, ...], told: str) -> None:
    result = run("deepdive", *command)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_outside_of_a_course_it_says_so(run: Run, small_course: Course) -> None:
    (small_course.root / "solutions").rename(small_course.root / "gone")
    result = run("deepdive", "build")
    assert result.returncode == 2
    assert "there is no course here" in result.stderr


def test_build_says_what_it_did_and_what_it_left(
    run: Run, small_course: Course, answers: Callable[[str], None]
) -> None:
    assert "hour1_small.py: written" in run("deepdive", "build").stdout
    assert "hour1_small.py: up to date" in run("deepdive", "build").stdout
    answers(SOLUTION)
    result = run("deepdive", "build")
    assert "kept: it has been worked on" in result.stdout
    assert "deepdive build --force" in result.stdout
    result = run("deepdive", "build", "--force")
    assert "hour1_small.backup-1.py" in result.stdout


def test_build_into_a_place_that_cannot_be_written_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    result = run("deepdive", "build", str(tmp_path / "a-file"))
    assert result.returncode == 2
    assert "a-file" in result.stderr
    assert "Traceback" not in result.stderr


def test_assets_that_cannot_be_prepared_end_with_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    result = run("deepdive", "assets", DEEPDIVE_CACHE=str(tmp_path / "a-file" / "cache"))
    assert result.returncode == 2
    assert "DEEPDIVE_CACHE" in result.stderr
    assert "Traceback" not in result.stderr
