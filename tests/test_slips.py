"""Whatever goes wrong for a learner, every command ends with a sentence and never with a traceback."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepdive.course import Course
from tests.conftest import ROOT, SOLUTION, Answers, Run

# Every command that a learner gives, as it is meant to be given in the small course.
COMMANDS = {
    "board": ("--json",),
    "board for people": (),
    "check": ("check",),
    "check one": ("check", "double"),
    "hint": ("hint", "double"),
    "diff": ("diff", "double", "--spoil"),
    "diff stub": ("diff", "double", "--stub"),
    "reset": ("reset", "double"),
    "reset all": ("reset", "--all"),
    "undo": ("undo",),
    "plan": ("plan",),
    "plan of an hour": ("plan", "1"),
    "show": ("show", "failure", "double"),
    "report": ("report",),
    "notebook build": ("notebook", "build"),
    "notebook export": ("notebook", "export"),
    "notebook import": ("notebook", "import"),
    "build": ("build",),
}
every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
ALSO = [
    ("watch",),
    ("project",),
    ("proof",),
    ("grade", "."),
    ("similar", "."),
    ("export", "csv", "--gradebook", "g", "--out", "o"),
]


def told(result: subprocess.CompletedProcess[str]) -> str:
    """What a command said; nothing of it may be a traceback."""
    printed = result.stdout + result.stderr
    assert "Traceback" not in printed
    assert result.returncode in (0, 1, 2), printed
    assert result.returncode != 2 or result.stderr.strip(), printed
    return " ".join(printed.split())


@pytest.mark.parametrize("command", [*COMMANDS.values(), *ALSO], ids=" ".join)
def test_where_there_is_no_course(run: Run, small_course: Course, command: tuple[str, ...]) -> None:
    shutil.rmtree(small_course.root / "solutions")
    result = run("deepdive", *command)
    assert result.returncode == 2
    assert "there is no course here" in told(result)


@pytest.mark.parametrize(
    "command",
    [
        ("check", "duoble"),
        ("watch", "duoble"),
        ("hint", "duoble"),
        ("diff", "duoble"),
        ("reset", "duoble"),
        ("show", "failure", "duoble"),
    ],
    ids=" ".join,
)
def test_of_an_exercise_that_there_is_not(run: Run, command: tuple[str, ...]) -> None:
    result = run("deepdive", *command)
    assert result.returncode == 2
    assert "there is no exercise 'duoble'; did you mean double?" in told(result)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("chekc",), "Did you mean 'check'?"),
        (("check", "9"), "there is no hour 9; there are 1"),
        (("plan", "9"), "there is no hour 9; there are 1"),
        (("plan", "9", "--json"), "there is no hour 9; there are 1"),
        (("plan", "two"), "unable to parse string as an integer"),
        (("hint",), "Missing argument"),
        (("hint", "double", "9"), "double has 3 hints, no number 9"),
        (("reset",), "say which exercise, or --all"),
        (("undo",), "there is nothing to undo"),
        (("show", "atention"), "there is no picture atention; there are attention"),
        (("notebook", "exprot"), "there are build, export"),
        (("notebook", "build", "9"), "there is no hour 9"),
        (("project", "--budget", "huge"), "there is no budget 'huge'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_slip_is_told_with_what_there_is(run: Run, command: tuple[str, ...], sentence: str) -> None:
    result = run("deepdive", *command)
    assert result.returncode in (2, 4)  # pytest's own number for a slip, and everybody's
    printed = result.stdout + result.stderr
    assert "Traceback" not in printed
    assert sentence in " ".join(printed.replace("│", " ").split())


@every_command
def test_on_a_broken_stub_in_a_narrow_terminal_that_knows_ascii(
    run: Run, answers: Answers, small_course: Course, command: tuple[str, ...]
) -> None:
    answers(SOLUTION.replace("return 2 * x", "return 2 * x("))
    result = run("deepdive", *command, COLUMNS="40", PYTHONIOENCODING="ascii")
    told(result)
    if command in ((), ("check",), ("hint", "double")):
        assert [line for line in result.stdout.splitlines() if len(line) > 40] == []


@every_command
def test_where_nothing_can_be_written(
    run: Run, answers: Answers, small_course: Course, command: tuple[str, ...]
) -> None:
    answers(SOLUTION)
    root = small_course.root
    if os.geteuid() == 0:  # whom no permission keeps from writing: what would be written to is something else
        for name in (".deepdive", "notebooks"):
            (root / name).write_text("")
        (root / "report.html").mkdir()
        result = run("deepdive", *command)
    else:
        for path in (root / "exercises", root):
            path.chmod(0o555)
        try:
            result = run("deepdive", *command)
        finally:
            for path in (root, root / "exercises"):
                path.chmod(0o755)
    told(result)


@every_command
def test_where_exercises_is_no_folder(run: Run, small_course: Course, command: tuple[str, ...]) -> None:
    (small_course.root / "exercises").write_text("")
    told(run("deepdive", *command))


def test_watch_without_exercises_says_how_to_get_them(run: Run) -> None:
    result = run("deepdive", "watch")
    assert result.returncode == 2
    assert "deepdive build" in told(result)


@pytest.mark.parametrize("command", [("plan", "1"), (), ("check",), ("hint", "double"), ("--help",)], ids=" ".join)
def test_whoever_reads_the_output_may_stop_reading(
    small_course: Course, answers: Answers, command: tuple[str, ...]
) -> None:
    answers(SOLUTION)
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, "-m", "deepdive", *command],
        cwd=small_course.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writing,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
    )
    os.close(writing)
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 2.0])
@pytest.mark.parametrize("command", [(), ("check",), ("report",), ("watch", "double")], ids=" ".join)
def test_ctrl_c_at_any_moment(
    small_course: Course, answers: Answers, command: tuple[str, ...], seconds: float
) -> None:
    answers(SOLUTION.replace("return 2 * x", "import time; time.sleep(60)"))
    # Before its first line Python itself is not ready to be interrupted; from then on this is `python -m deepdive`.
    begun = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); print('begun', flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{begun}; from deepdive.__main__ import main; main()", *command],
        cwd=small_course.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that is in the foreground
    printed, _ = process.communicate(timeout=60)
    assert "Traceback" not in printed


def test_a_terminal_of_40_columns_shows_a_whole_block(run: Run, answers: Answers, tmp_path: Path) -> None:
    answers(SOLUTION.replace("return 2 * x", "return 3 * x"))
    printed = run("deepdive", "check", COLUMNS="40").stdout
    assert "The values were added up" in " ".join(printed.split())
    assert [line for line in printed.splitlines() if len(line) > 40] == []


def test_names_are_completed_with_what_they_are_about(small_course: Course) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "deepdive"],
        cwd=small_course.root,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "_DEEPDIVE_COMPLETE": "complete_bash",
            "COMP_WORDS": "deepdive hint d",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert "double" in result.stdout, result.stderr
    assert "halves" not in result.stdout
