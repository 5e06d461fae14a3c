"""An answer that has not changed is not tried again, and says so; whatever a verdict depends on is a change."""

import json
import shutil
from pathlib import Path

import pytest

from deepdive.course import Course
from tests.conftest import SOLUTION, Answers, Run

WRONG = SOLUTION.replace("return 2 * x", "return 3 * x")


def kept(run: Run, *options: str) -> int:
    """How many verdicts a run says are kept ones."""
    printed = run("pytest", *options).stdout
    line = next((line for line in printed.splitlines() if line.startswith("kept")), "kept 0")
    return int(line.split()[1])


def test_a_second_run_keeps_what_is_certain_and_says_so(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    assert kept(run) == 0
    assert kept(run) == 5


def test_fresh_tries_everything_again(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    run("pytest")
    assert kept(run, "--fresh") == 0


def test_only_what_an_edit_reaches_is_tried_again(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    run("pytest")
    answers(SOLUTION.replace("an odd number of values", "an odd count of values"))
    assert kept(run) == 3  # the two checks of `halves` ran


def test_a_wrong_answer_is_told_again_in_full(run: Run, answers: Answers) -> None:
    answers(WRONG)
    first, second = run("pytest").stdout, run("pytest").stdout
    block = first[first.index("✗ double") : first.index("next ")]
    assert block in second
    assert run("pytest").returncode == 1


def test_a_wrong_answer_whose_lines_moved_is_tried_again(run: Run, answers: Answers) -> None:
    wrong = SOLUTION.replace("return 2 * x", "return x / nothing")
    answers(wrong)
    run("pytest")
    moved = "\n\n" + wrong
    answers(moved)
    line = moved.splitlines().index("    return x / nothing") + 1
    assert f"line {line}" in run("pytest").stdout


@pytest.mark.parametrize(
    "what", ["checks/test_hour1_small.py", "solutions/hour1_small.py", "checks/mistakes/hour1_small.py"]
)
def test_other_checks_judge_anew(run: Run, answers: Answers, small_course: Course, what: str) -> None:
    answers(SOLUTION)
    run("pytest")
    with (small_course.root / what).open("a") as file:
        file.write("\n# changed\n")
    assert kept(run) == 0


def test_another_seed_is_another_verdict(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    run("pytest")
    assert kept(run, "--deepdive-seed", "1") == 0
    assert kept(run, "--deepdive-seed", "1") == 5


def test_what_was_not_certain_is_tried_again(run: Run, answers: Answers) -> None:
    answers(SOLUTION.replace("return 2 * x", "import os; os._exit(1)"))
    run("pytest")
    assert kept(run) == 2  # those of `halves`; `quadruple` calls `double`


def test_what_is_kept_cannot_be_read(run: Run, answers: Answers, small_course: Course) -> None:
    answers(SOLUTION)
    run("pytest")
    (small_course.root / ".deepdive" / "verdicts.json").write_text("{")
    assert kept(run) == 0
    assert kept(run) == 5


def test_workers_keep_too(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    run("pytest", "-n", "2")
    assert kept(run, "-n", "2") == 5


def test_a_record_holds_kept_verdicts_like_others(run: Run, answers: Answers, tmp_path: Path) -> None:
    answers(SOLUTION)
    run("pytest")
    run("pytest", "--deepdive-json", "record.json")
    record = json.loads((tmp_path / "record.json").read_text())
    assert len(record["verdicts"]) == 5


def test_solutions_are_always_tried(run: Run, answers: Answers, tmp_path: Path) -> None:
    answers(SOLUTION)
    run("pytest")
    shutil.copytree(tmp_path / "exercises", tmp_path / "others")
    assert kept(run, "--against=others") == 0
