"""The proof: for every exercise of every hour, what is known to be right passes and what is known to be wrong fails.

Made from the files, so that a new hour is proved by being there.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepdive.answer_files import AnswerFiles, StillToDo
from deepdive.build import build
from deepdive.course import Exercise, load_course
from deepdive.diagnose import known_mistakes
from deepdive.proof import Kind, Known, alternatives, known_answers, patience, try_answer
from deepdive.verdict import Record, State, read_record
from tests.conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers: that is what they do

COURSE = load_course(ROOT)
EXERCISES = list(COURSE.exercises)
KNOWN = [known for exercise in EXERCISES for known in known_answers(COURSE, exercise)]
RIGHT = [known for known in KNOWN if known.kind is not Kind.MISTAKE]
WRONG = [known for known in KNOWN if known.kind is Kind.MISTAKE]
# `make test` tries every mistake of hour 1 and every fifth of the later hours, which run models; `make test-all` all.
WRONG_CASES = [
    pytest.param(known, marks=[pytest.mark.slow] if known.exercise.hour > 1 and place % 5 else [])
    for place, known in enumerate(WRONG)
]
SEEDS = [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    with patience():
        yield


def label(value: object) -> str:
    if isinstance(value, Known):
        return f"{value.exercise.name}-{value.kind}-{value.name}"
    return value.name if isinstance(value, Exercise) else str(value)


@pytest.mark.parametrize("exercise", EXERCISES, ids=label)
def test_every_stub_is_to_do(exercise: Exercise, tmp_path: Path) -> None:
    build(COURSE, tmp_path)
    files = AnswerFiles(COURSE, tmp_path)
    assert files.is_stub(exercise)
    with pytest.raises(StillToDo):
        files.answer(exercise)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", RIGHT, ids=label)
def test_every_right_answer_passes(known: Known, seed: int) -> None:
    trial = try_answer(COURSE, known, seed=seed)
    assert not trial.problem, [(v.check, v.state, v.got, v.likely) for v in trial.verdicts]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("known", WRONG_CASES, ids=label)
def test_every_mistake_is_caught_and_named_by_its_own_line(known: Known, seed: int) -> None:
    trial = try_answer(COURSE, known, seed=seed)
    assert not trial.problem, [(v.check, v.state, v.got, v.mistake, v.likely) for v in trial.verdicts]


@pytest.mark.parametrize("exercise", EXERCISES, ids=label)
def test_every_exercise_is_complete(exercise: Exercise) -> None:
    assert len(alternatives(COURSE, exercise)) >= 2
    assert len(known_mistakes(COURSE, exercise)) >= 2
    assert len(exercise.hints) == 3
    assert 1 <= exercise.points <= 5
    assert exercise.minutes >= 1
    assert exercise.summary.endswith(".")
    assert exercise.returns


def test_mistakes_are_told_in_different_words() -> None:
    sentences = Counter((m.of, m.sentence) for exercise in EXERCISES for m in known_mistakes(COURSE, exercise))
    assert max(sentences.values()) == 1


def test_every_doctest_of_the_solutions_holds() -> None:
    files = [str(ROOT / "solutions" / hour.file_name) for hour in COURSE.hours]
    result = subprocess.run([sys.executable, "-m", "doctest", *files], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout


def run(tmp_path: Path, *options: str) -> Record:
    """Run the real command and read the record it wrote."""
    record = tmp_path / "record.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--deepdive-json", str(record), *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert record.exists(), result.stdout + result.stderr
    return read_record(record)


QUICK = [exercise for exercise in EXERCISES if not any(check.long for check in exercise.checks)]


@pytest.mark.parametrize(
    "exercises",
    [
        pytest.param(QUICK, id="what-takes-seconds"),
        pytest.param(EXERCISES, id="all", marks=pytest.mark.slow),
    ],
)
def test_the_solutions_earn_every_point_through_the_front_door(tmp_path: Path, exercises: list[Exercise]) -> None:
    record = run(tmp_path, "--against=solutions", *(f"--exercise={exercise.name}" for exercise in exercises))
    assert record.earned == sum(exercise.points for exercise in exercises) > 0
    assert {v.state for v in record.verdicts} <= {State.PASSED, State.NOT_APPLICABLE}


def test_the_stubs_are_all_to_do_through_the_front_door(tmp_path: Path) -> None:
    build(COURSE, tmp_path / "stubs")
    record = run(tmp_path, f"--against={tmp_path / 'stubs'}")
    assert record.earned == 0
    assert {v.state for v in record.verdicts} == {State.TODO}


def test_mistakes_are_named_through_the_front_door(tmp_path: Path) -> None:
    """A file that makes the first mistake of every exercise at once, by the real command."""
    folder = tmp_path / "wrong"
    folder.mkdir()
    expected = {}
    for hour in COURSE.hours[:2]:  # whose mistakes are tried within the second that a learner waits
        module = hour.file_name.removesuffix(".py")
        lines = [f"import sys\nsys.path.insert(0, {str(ROOT)!r})"]
        for exercise in hour.exercises:
            first = known_mistakes(COURSE, exercise)[0]
            lines.append(f"from checks.mistakes.{module} import {first.name} as {exercise.name}")
            expected[exercise.name] = first.name
        (folder / hour.file_name).write_text("\n".join(lines) + "\n")
    record = run(tmp_path, f"--against={folder}", "--hour", "1", "--hour", "2")
    assert record.earned == 0
    named = {v.exercise: v.mistake for v in record.verdicts if v.mistake}
    assert named == expected
