"""A newer kit: progress survives, no answer is ever touched, and what has changed in stubs is told."""

import json
import subprocess
from pathlib import Path

import pytest

from deepdive.build import build
from deepdive.course import Course, load_course
from deepdive.stubs import changed_stubs
from tests.conftest import CHECKS, SOLUTION, Answers, Run, write_course

MINE = (
    SOLUTION.replace("return 2 * x", "return x + x")
    .replace("    ### BEGIN SOLUTION\n", "")
    .replace("    ### END SOLUTION\n", "")
)
NEWER = SOLUTION.replace('"""Twice every value.', '"""Twice every value, whatever its sign.')
NEW_EXERCISE = '''

def third(x: np.ndarray) -> np.ndarray:
    """A third of every value."""
    ### BEGIN SOLUTION
    return x / 3
    ### END SOLUTION
'''
NEW_CHECK = """

@exercise("third", points=1, minutes=1)
def test_takes_a_third(answer):
    expect(answer(np.array([3.0, 6.0]))).close_to(np.array([1.0, 2.0]))
"""


def update(course: Course, solution: str = SOLUTION, checks: str = CHECKS) -> None:
    (course.root / "solutions" / "hour1_small.py").write_text(solution, encoding="utf-8")
    (course.root / "checks" / "test_hour1_small.py").write_text(checks, encoding="utf-8")


def test_of_an_unchanged_kit_nothing_is_told(small_course: Course, answers: Answers) -> None:
    answers(MINE)
    for _ in range(2):
        assert changed_stubs(small_course).lines == []


def test_a_stub_that_says_more_is_told_until_ones_own_says_the_same(
    run: Run, small_course: Course, answers: Answers
) -> None:
    answers(MINE)
    run("pytest")
    update(small_course, NEWER)
    for _ in range(2):
        printed = " ".join(run("pytest").stdout.split())
        assert "changed a newer kit says more about double: deepdive diff double --stub" in printed
    shown = run("deepdive", "diff", "double", "--stub").stdout
    assert '+    """Twice every value, whatever its sign.' in shown
    assert "return" not in shown.replace("Returns", "")  # nothing of the answer
    answers(MINE.replace('"""Twice every value.', '"""Twice every value, whatever its sign.'))
    assert "newer kit" not in run("pytest").stdout
    assert "newer kit" not in run("deepdive").stdout


def test_a_comment_or_a_better_solution_is_no_change_of_a_stub(small_course: Course, answers: Answers) -> None:
    answers(MINE)
    changed_stubs(small_course)
    update(small_course, SOLUTION.replace("return 2 * x", "return x * 2  # the same"))
    assert changed_stubs(small_course).lines == []


def test_a_new_exercise_is_told_and_its_stub_put_into_ones_file_on_request(
    run: Run, small_course: Course, answers: Answers
) -> None:
    answers(MINE)
    run("pytest")
    update(small_course, SOLUTION + NEW_EXERCISE, CHECKS + NEW_CHECK)
    assert "new in this kit: third; deepdive reset third" in " ".join(run("deepdive").stdout.split())
    run("deepdive", "reset", "third")
    text = (small_course.root / "exercises" / "hour1_small.py").read_text()
    assert text.startswith(MINE)
    assert "def third" in text
    assert "new in this kit" not in run("deepdive").stdout


def test_hints_and_copies_are_still_there_and_every_verdict_is_found_anew(
    run: Run, small_course: Course, answers: Answers
) -> None:
    answers(MINE)
    run("deepdive", "hint", "double")
    run("pytest")
    update(small_course, NEWER)
    assert "hint 2 of 3" in run("deepdive", "hint", "double").stdout
    assert "4/4 points" in run("pytest").stdout


def test_build_keeps_what_one_has_written_and_the_board_says_what_is_new(
    small_course: Course, answers: Answers
) -> None:
    answers(MINE)
    changed_stubs(small_course)
    update(small_course, NEWER)
    build(load_course(small_course.root), small_course.root / "exercises")
    assert (small_course.root / "exercises" / "hour1_small.py").read_text() == MINE
    assert [exercise.name for exercise in changed_stubs(load_course(small_course.root)).stubs] == ["double"]


def test_what_is_remembered_may_be_damaged(small_course: Course, answers: Answers) -> None:
    answers(MINE)
    (small_course.root / ".deepdive").mkdir()
    (small_course.root / ".deepdive" / "stubs.json").write_text(json.dumps({"began": 3}))
    assert changed_stubs(small_course).lines == []


@pytest.fixture
def git(tmp_path: Path) -> Path:
    """The kit's repository with its first version, and beside it a learner's clone."""
    kit = write_course(tmp_path / "kit")
    build(load_course(kit), kit / "exercises")
    (kit / ".gitignore").write_text(".deepdive/\n__pycache__/\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*NAMED, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=kit, check=True, capture_output=True)
    subprocess.run(["git", "clone", "-q", str(kit), str(tmp_path / "mine")], check=True, capture_output=True)
    return kit


NAMED = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]


def test_a_pull_with_autostash_brings_the_newer_kit_and_leaves_the_answers(git: Path, tmp_path: Path) -> None:
    """As the README says it: what is written is not committed, and the kit has changed its stubs."""
    mine = tmp_path / "mine"
    answers = mine / "exercises" / "hour1_small.py"
    stub = answers.read_text()
    halves = stub.index("def halves")
    answers.write_text(stub[:halves] + stub[halves:].replace("raise NotImplementedError", "return x[:3], x[3:]", 1))
    changed_stubs(load_course(mine))
    update(load_course(git), NEWER)
    build(load_course(git), git / "exercises", force=True)
    subprocess.run(["git", *NAMED, "commit", "-qam", "newer"], cwd=git, check=True)
    pulled = subprocess.run(["git", *NAMED, "pull", "--autostash"], cwd=mine, capture_output=True, text=True)
    assert pulled.returncode == 0, pulled.stderr
    now = answers.read_text()
    assert "return x[:3], x[3:]" in now
    assert "whatever its sign" in now
    assert changed_stubs(load_course(mine)).lines == []
