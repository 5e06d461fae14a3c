"""A graded run judges as a learner's own run does, with the submitted code in a jail."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from deepdive.course import Course, Exercise, load_course
from deepdive.grading.intake import MAX_BYTES, Submission, take
from deepdive.grading.jailed import JailedFile
from deepdive.grading.proof import differences, try_jailed
from deepdive.grading.run import grade
from deepdive.grading.session import LIGHT, open_jail
from deepdive.jail.bwrap import Room
from deepdive.jail.zygote import Cold, Zygote, choose_tier
from deepdive.proof import Kind, known_answers, patience, try_answer
from deepdive.verdict import State, Verdict
from tests.conftest import ROOT, Run

COURSE = load_course(ROOT)
NO_JAIL = "" if choose_tier().tier else "; ".join(choose_tier().reasons)
needs_jail = pytest.mark.skipif(bool(NO_JAIL), reason=NO_JAIL)
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    with patience():
        yield


@pytest.fixture(scope="module")
def jail() -> Iterator[Zygote | Cold]:
    with open_jail({1}, unsafe=False) as jail:
        yield jail


# --- intake ---


def test_only_the_courses_own_files_are_taken(small_course: Course, tmp_path: Path) -> None:
    folder = tmp_path / "handed in"
    folder.mkdir()
    (folder / "hour1_small.py").write_bytes(b"\xef\xbb\xbfx = 1\r\n")
    for name in ("conftest.py", "numpy.py", "sitecustomize.py", "hour2_small.py"):
        (folder / name).write_text("raise SystemExit")
    submission = take(folder, small_course)
    assert submission.files == {"hour1_small.py": b"\xef\xbb\xbfx = 1\r\n"}
    assert submission.refused == ()


def test_a_file_as_browsers_save_it_is_taken(small_course: Course, tmp_path: Path) -> None:
    path = tmp_path / "hour1_small (1).py"
    path.write_text("x = 1")
    assert take(path, small_course).files == {"hour1_small.py": b"x = 1"}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link is not followed"),
        (lambda path: path.mkdir(), "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b"#" * (MAX_BYTES + 1)), "larger than 1 MiB"),
    ],
)
def test_what_is_no_decent_file_is_refused_with_the_reason(
    small_course: Course, tmp_path: Path, make: object, reason: str
) -> None:
    folder = tmp_path / "handed in"
    folder.mkdir()
    make(folder / "hour1_small.py")  # type: ignore[operator]
    submission = take(folder, small_course)
    assert submission.files == {}
    (refused,) = submission.refused
    assert reason in refused


def test_two_names_that_differ_in_case_only_are_one_too_many(small_course: Course, tmp_path: Path) -> None:
    folder = tmp_path / "handed in"
    folder.mkdir()
    for name in ("Hour1_Small.py", "hour1_small.py"):
        (folder / name).write_text("x = 1")
    submission = take(folder, small_course)
    assert len(submission.files) == len(submission.refused) == 1


# --- the same verdicts, both ways ---


@pytest.fixture(scope="module")
def jail_of() -> Iterator[Callable[[int], Zygote | Cold]]:
    """The jail of an hour: one for the hour that needs neither Transformers nor Datasets, one for the others."""
    with ExitStack() as jails:
        yield cache(lambda hour: jails.enter_context(open_jail({hour}, unsafe=False)))


# In `make test` one right and one wrong answer of hours 1 and 2; `make test-all` compares all of all hours.
COMPARED = [
    pytest.param(exercise, most, id=f"{exercise.name}-{name}", marks=[pytest.mark.slow] * slow)
    for exercise in COURSE.exercises
    for most, name, slow in ((1, "a-few", exercise.hour > 2), (999, "all", True))
]


@needs_jail
@pytest.mark.parametrize(("exercise", "most"), COMPARED)
def test_known_answers_get_the_same_verdicts_jailed_and_not(
    exercise: Exercise, most: int, jail_of: Callable[[int], Zygote | Cold]
) -> None:
    jail = jail_of(min(exercise.hour, 2))
    known_ones = list(known_answers(COURSE, exercise))
    right = [known for known in known_ones if known.kind is not Kind.MISTAKE]
    wrong = [known for known in known_ones if known.kind is Kind.MISTAKE]
    chosen = (*right[:most], *wrong[:most])
    here = [try_answer(COURSE, known) for known in chosen]
    differing = differences(COURSE, here, [try_jailed(COURSE, known, jail) for known in chosen])
    assert not differing, "\n".join(differing)  # all of it, which pytest shortens


@needs_jail
def test_the_proof_command_tries_every_answer_and_mutant_in_a_jail_too(run: Run) -> None:
    done = run("deepdive", "proof", "--jailed", "--mutants", "--exercise", "double")
    assert done.returncode == 0, done.stderr
    here, jailed = done.stdout.split("jailed\n")
    assert "| all 1 | 2 | 1 of 1 | 2 of 2 | 2 of 2 | 0 |" in here
    assert here.split() == jailed.split()


@needs_jail
def test_the_proof_command_tells_what_is_judged_otherwise_in_a_jail(run: Run, small_course: Course) -> None:
    checks = small_course.root / "checks" / "test_hour1_small.py"
    text = checks.read_text(encoding="utf-8")
    checks.write_text(text.replace("equals(np.array([2, 4, 10]))", "equals(np.array([2, 4, 10 + answer.jailed]))"))
    done = run("deepdive", "proof", "--jailed", "--exercise", "double")
    assert done.returncode == 1
    assert "double, solution double: refused by test_doubles_whole_numbers\n" in done.stderr
    assert (
        "double, solution double, test_doubles_whole_numbers: here passed, jailed failed · double(x: " in done.stderr
    )


@needs_jail
def test_a_stub_is_to_do_in_the_jail_too(jail: Zygote | Cold) -> None:
    stub = (ROOT / "exercises" / "hour1_attention.py").read_bytes()
    verdicts = grade(COURSE, Submission("stub", {"hour1_attention.py": stub}), jail, seed=0, hours={1})
    assert {verdict.state for verdict in verdicts} == {State.TODO}


# --- what may go wrong ---


def graded(jail: Zygote | Cold, source: str) -> dict[str, list[Verdict]]:
    """The verdicts on softmax and causal_mask; the latter is right unless the file is broken."""
    names = ("softmax", "causal_mask")
    hour = COURSE.hour(1)
    few = tuple(exercise for exercise in hour.exercises if exercise.name in names)
    course = Course(COURSE.root, (type(hour)(1, hour.topic, hour.title, hour.plan, few),))
    mask = (
        "\ndef causal_mask(n):\n    if n < 1:\n        raise ValueError(f'{n}')\n    return np.tri(n, dtype=bool)\n"
    )
    text = f"import numpy as np\n\n{source}\n{mask}"
    verdicts = grade(course, Submission("odd", {"hour1_attention.py": text.encode()}), jail, seed=0)
    return {name: [v for v in verdicts if v.exercise == name] for name in names}


@needs_jail
@pytest.mark.parametrize(
    ("body", "state", "words"),
    [
        ("import os; os._exit(0)", State.CRASHED, "exit code 0"),
        ("import ctypes; ctypes.string_at(0)", State.CRASHED, "segmentation fault"),
        ("raise SystemExit(0)", State.ERROR, "SystemExit(0)"),
        ("return object()", State.FAILED, "in the jail"),
        ("return x[0].no_such_thing", State.ERROR, "no_such_thing"),
        ("def f(): return f()\n    return f()", State.ERROR, "RecursionError"),
        ("import solutions", State.ERROR, "No module named 'solutions'"),
        ("import checks", State.ERROR, "No module named 'checks'"),
        ("import deepdive.diagnose", State.ERROR, "No module named 'deepdive.diagnose'"),
        (f"open({str(ROOT / 'README.md')!r})", State.ERROR, "FileNotFoundError"),
    ],
)
def test_an_answer_that_misbehaves_costs_its_own_verdict_only(
    jail: Zygote | Cold, body: str, state: State, words: str
) -> None:
    verdicts = graded(jail, f"def softmax(x, axis=-1):\n    {body}\n")
    assert {verdict.state for verdict in verdicts["causal_mask"]} == {State.PASSED}
    assert {verdict.state for verdict in verdicts["softmax"]} <= {state, State.FAILED}
    first = verdicts["softmax"][0]
    assert first.state is state
    assert words in first.got


@needs_jail
def test_an_endless_call_into_c_is_a_timeout_in_the_jail(jail: Zygote | Cold) -> None:
    verdicts = graded(jail, "def softmax(x, axis=-1):\n    return sum(range(10**12))\n")
    assert verdicts["softmax"][0].state is State.TIMEOUT
    assert {verdict.state for verdict in verdicts["causal_mask"]} == {State.PASSED}


@needs_jail
@pytest.mark.parametrize("source", ["import os; os._exit(0)", "x = (", "raise ValueError('no')"])
def test_a_file_that_cannot_be_loaded_is_told_for_every_exercise(jail: Zygote | Cold, source: str) -> None:
    verdicts = [v for group in graded(jail, source).values() for v in group]
    assert {verdict.state for verdict in verdicts} <= {State.ERROR, State.CRASHED}
    assert {verdict.file for verdict in verdicts} == {"hour1_attention.py"}


@needs_jail
def test_a_zygote_killed_in_the_middle_loses_nothing() -> None:
    with Zygote(Room(imports=LIGHT[:1])) as jail:
        right = "def softmax(x, axis=-1):\n    e = np.exp(x - x.max())\n    return e / e.sum(axis, keepdims=True)"
        before = graded(jail, right)
        assert jail.pid is not None
        os.kill(jail.pid, 9)
        again = graded(jail, right)["softmax"]
        assert [(v.check, v.state) for v in again] == [(v.check, v.state) for v in before["softmax"]]


SPINNING_LOOP = """
import mmap, os, time

flag = open("/tmp/called", "w+b")
flag.truncate(1)
called = mmap.mmap(flag.fileno(), 1)  # shared with the children

def spin():
    while True:
        if called[0]:
            time.sleep(0.0005)
        else:
            sum(range(1000))

def scaled_dot_product_attention(q, k, v, mask=None):
    called[0] = 1
    outputs, weights = [], []
    for index in np.ndindex(q.shape[:-1]):
        scores = k[index[:-1]] @ q[index] / q.shape[-1] ** 0.5
        exps = np.exp(scores - scores.max())
        weights.append(exps / exps.sum())
        outputs.append(weights[-1] @ v[index[:-1]])
    result = np.reshape(outputs, (*q.shape[:-1], v.shape[-1])), np.reshape(weights, (*q.shape[:-1], k.shape[-2]))
    called[0] = 0
    return result

for _ in range(40):
    if os.fork() == 0:
        spin()
"""


@needs_jail
def test_nothing_of_a_submission_runs_while_something_else_is_timed(jail: Zygote | Cold) -> None:
    source = b"""
import os, threading, time

ticks = open("/tmp/ticks", "ab", buffering=0)

def tick():
    while True:
        time.sleep(0.002)
        ticks.write(b".")

threading.Thread(target=tick, daemon=True).start()
if os.fork() == 0:
    tick()

def ticked():
    return os.path.getsize("/tmp/ticks")
"""
    file = JailedFile(jail, 1, source, "hour1_attention.py")
    try:

        def ticked() -> int:
            return int(file.channel().call("ticked").value)  # type: ignore[union-attr]

        began = ticked()
        time.sleep(0.5)
        running = ticked() - began
        file.pause()
        time.sleep(0.5)
        file.resume()
        paused = ticked() - began - running
    finally:
        file.close()
    assert paused < running / 2


@needs_jail
@pytest.mark.slow
def test_what_spins_in_the_background_does_not_make_a_loop_look_fast(jail: Zygote | Cold) -> None:
    """It would slow the baseline it is compared with, and the empty question, if it were let run meanwhile."""
    hour = COURSE.hour(1)
    exercise = COURSE.exercise("scaled_dot_product_attention")
    fast = tuple(check for check in exercise.checks if check.name == "test_takes_all_queries_at_once")
    course = Course(COURSE.root, (replace(hour, exercises=(replace(exercise, checks=fast),)),))
    source = f"import numpy as np\n{SPINNING_LOOP}".encode()
    (verdict,) = grade(course, Submission("spinning", {"hour1_attention.py": source}), jail, seed=0)
    assert verdict.state in (State.FAILED, State.TIMEOUT, State.CRASHED), verdict


# --- the command ---


@needs_jail
def test_the_command_grades_folders_and_writes_records(tmp_path: Path) -> None:
    for name, file in (("right", "solutions"), ("nothing", "exercises")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hour1_attention.py").write_bytes((ROOT / file / "hour1_attention.py").read_bytes())
    command = [sys.executable, "-m", "deepdive.cli", "grade", str(tmp_path / "right"), str(tmp_path / "nothing")]
    result = subprocess.run(
        [*command, "--hour", "1", "--seed", "7", "--json", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    records = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "out").iterdir()}
    assert records["right"]["earned"] == sum(exercise.points for exercise in COURSE.hour(1).exercises) > 0
    assert records["nothing"]["earned"] == 0
    assert records["nothing"]["possible"] == records["right"]["possible"]
    assert "jail: zygote" in result.stdout or "jail: cold" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("nowhere",), "nowhere: there is no such folder or file"), ((".", "--hour", "9"), "there is no hour 9")],
)
def test_a_slip_ends_with_a_sentence(run: Run, arguments: tuple[str, ...], told: str) -> None:
    result = run("deepdive", "grade", *arguments)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_the_doctor_says_which_tier_this_machine_allows(run: Run) -> None:
    result = run("deepdive", "doctor")
    assert result.stdout.startswith("jail: ")
    assert result.returncode == (0 if not NO_JAIL else 1)
