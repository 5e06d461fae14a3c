"""The learner's bench: where one stands, checking by name, beside the reference, starting over, and watching."""

import os
import pty
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepdive.bench.watch import LOOK, events
from deepdive.bench.watch import Answers as Seen
from deepdive.course import Course
from deepdive.kept import FOLDER
from tests.conftest import ROOT, SOLUTION, Answers, Run

WRONG = SOLUTION.replace("return 2 * x", "return 3 * x")


def answer_file(course: Course) -> Path:
    return course.root / "exercises" / "hour1_small.py"


def test_without_a_command_it_says_where_one_stands_and_runs_nothing(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    assert "3 ran" in run("deepdive").stdout  # nothing has been tried yet
    run("pytest")
    assert "Every exercise passes." in run("deepdive").stdout
    answers(WRONG.replace("import numpy", "raise SystemExit('nobody runs this')\nimport numpy"))
    assert "Every exercise passes." not in run("deepdive").stdout


def test_a_check_by_name_or_hour_is_pytest_on_just_that(run: Run, answers: Answers) -> None:
    answers(WRONG)
    result = run("deepdive", "check", "halves")
    assert result.returncode == 0
    assert "2 passed" in result.stdout
    assert run("deepdive", "check", "1").returncode == 1
    assert "did you mean double?" in run("deepdive", "check", "duoble").stderr


def test_the_reference_is_shown_after_a_pass_or_when_told(run: Run, answers: Answers) -> None:
    answers(SOLUTION.replace("return 2 * x", "return x + x"))
    refused = run("deepdive", "diff", "double")
    assert refused.returncode == 2
    assert "--spoil" in refused.stderr
    assert "2 * x" not in refused.stdout + refused.stderr
    assert "+    return 2 * x" in run("deepdive", "diff", "double", "--spoil").stdout
    run("pytest")
    assert "-    return x + x" in run("deepdive", "diff", "double").stdout


def test_a_reset_touches_one_function_and_can_be_undone(run: Run, answers: Answers, small_course: Course) -> None:
    mine = SOLUTION.replace("return 2 * x", "return x + x").replace('"""Hour 1', '"""My notes.\n\nHour 1')
    answers(mine)
    assert run("deepdive", "reset", "double").returncode == 0
    now = answer_file(small_course).read_text()
    assert "return x + x" not in now
    assert "raise NotImplementedError" in now
    assert "My notes." in now
    assert "return x[: len(x) // 2]" in now
    assert run("deepdive", "undo").returncode == 0
    assert answer_file(small_course).read_text() == mine
    assert "nothing to undo" in run("deepdive", "undo").stderr


def test_a_deleted_function_comes_back_as_a_stub(run: Run, answers: Answers, small_course: Course) -> None:
    answers("x = 1\n")
    run("deepdive", "reset", "halves")
    assert "def halves" in answer_file(small_course).read_text()
    assert answer_file(small_course).read_text().startswith("x = 1\n")


def test_a_file_that_is_no_python_is_reset_as_a_whole(run: Run, answers: Answers, small_course: Course) -> None:
    answers("def broken(:\n")
    assert "deepdive reset --all" in run("deepdive", "reset", "double").stderr
    assert run("deepdive", "reset", "--all").returncode == 0
    assert "raise NotImplementedError" in answer_file(small_course).read_text()
    run("deepdive", "undo")
    assert answer_file(small_course).read_text() == "def broken(:\n"


def test_the_plan_counts_the_minutes_that_are_left(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    assert "9 minutes" in run("deepdive", "plan").stdout
    run("pytest")
    assert "0 minutes" in run("deepdive", "plan").stdout
    assert "The plan." in run("deepdive", "plan", "1").stdout
    assert "there is no hour 9" in run("deepdive", "plan", "9").stderr


class Watching:
    """`deepdive watch` in a terminal of its own."""

    def __init__(self, root: Path, *options: str) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(root)
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "80"}
            os.execve(sys.executable, [sys.executable, "-m", "deepdive", "watch", *options], environment)

    def until(self, pattern: str, seconds: float = 60) -> str:
        """What is printed up to a pattern."""
        printed, until = "", time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self._terminal], [], [], 0.1)[0]:
                try:
                    printed += os.read(self._terminal, 65536).decode("utf-8", "replace")
                except OSError:
                    break
                if re.search(pattern, printed):
                    return printed
        raise AssertionError(f"no {pattern!r} in {printed!r}")

    def press(self, key: str) -> None:
        os.write(self._terminal, key.encode())


@pytest.fixture(params=["--fork", "--no-fork"])
def watching(request: pytest.FixtureRequest, small_course: Course, answers: Answers) -> Iterator[Watching]:
    """On right answers, in either way: by forks, as on Linux, and by processes that wait, as elsewhere."""
    answers(SOLUTION)
    watching = Watching(small_course.root, request.param)
    watching.until("q quit")
    yield watching
    try:
        os.kill(watching.pid, signal.SIGKILL)
        os.waitpid(watching.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_what_is_saved_is_checked_at_once_and_only_what_the_edit_reaches(
    watching: Watching, answers: Answers
) -> None:
    answers(SOLUTION.replace("len(x) // 2 :]", "len(x) // 2 + 1 :]"))
    printed = watching.until("h shows a hint")
    assert "✗ halves · splits in the middle" in printed
    assert "double" not in printed
    answers(WRONG)
    printed = watching.until("✗ quadruple")
    assert "The values were added up once too often." in printed
    assert "✓ halves · 2 checks pass · 1 point" in printed  # it is as it was before


def test_what_is_saved_before_the_watch_is_set_up_is_seen_too(small_course: Course, answers: Answers) -> None:
    answers(SOLUTION)
    watching = Watching(small_course.root)
    watching.until("Watching")
    answers(WRONG)
    watching.until("✗ double")
    watching.press("q")


def test_verdicts_are_kept_where_pytest_finds_them(run: Run, watching: Watching, answers: Answers) -> None:
    answers(WRONG)
    watching.until("✗ quadruple")
    time.sleep(0.5)  # they are written when they have been told
    assert "3 verdicts of unchanged answers" in run("pytest").stdout


def test_a_syntax_error_is_shown_with_its_line(watching: Watching, answers: Answers) -> None:
    answers(SOLUTION.replace("return 2 * x", "return 2 * x("))
    line = SOLUTION.splitlines().index("    return 2 * x") + 1
    assert "was never closed" in watching.until(f"hour1_small.py, line {line}: ")
    answers(SOLUTION)
    watching.until("is Python again")


def test_a_save_ends_the_run_that_is_going_on(watching: Watching, answers: Answers) -> None:
    answers(SOLUTION.replace("return 2 * x", "import time; time.sleep(60)"))
    watching.until("---")
    answers(WRONG)
    assert "✗ double" in watching.until("h shows a hint", seconds=30)


def test_an_answer_that_dies_or_hangs_or_prints_costs_its_own_verdict(small_course: Course, answers: Answers) -> None:
    answers(SOLUTION)
    watching = Watching(small_course.root, "--fork")
    watching.until("q quit")
    answers(SOLUTION.replace("return 2 * x", "import os; os._exit(3)"))
    assert "with exit code 3" in watching.until("h shows a hint")
    answers(SOLUTION.replace("return 2 * x", "print('the printed words'); return 3 * x"))
    assert "printed   the printed words" in watching.until("printed .*words")
    answers(SOLUTION.replace("return 2 * x", "breakpoint()"))
    assert "breakpoint() stops in pytest only" in " ".join(watching.until("h shows a hint").split())
    watching.press("q")


def test_all_of_it_is_plain_pytest(watching: Watching) -> None:
    watching.press("a")
    assert "5 passed" in watching.until("passed in")


def test_a_course_that_changes_is_read_anew(watching: Watching, small_course: Course, answers: Answers) -> None:
    checks = small_course.root / "checks" / "test_hour1_small.py"
    checks.write_text(checks.read_text().replace("x + x)", "x + x + x)"))
    watching.until("The course has changed")
    answers(WRONG)
    watching.until("✗ double · doubles whole numbers")


def test_keys_show_hints_the_next_step_and_quit(watching: Watching, small_course: Course, answers: Answers) -> None:
    watching.press("h")
    watching.until("deepdive watch softmax")
    answers(WRONG)
    watching.until("h shows a hint")  # the first wrong check is told at once, and all of them kept in the end
    until = time.monotonic() + 60
    while not (small_course.root / FOLDER / "verdicts.json").exists() and time.monotonic() < until:
        time.sleep(0.01)
    watching.press("h")
    watching.until("hint 1 of 3")
    watching.press("n")
    watching.until("mend double")
    watching.press("q")
    assert os.waitpid(watching.pid, 0)[1] == 0


def test_an_exercise_that_is_named_is_tried_at_once(small_course: Course, answers: Answers) -> None:
    answers(WRONG)
    watching = Watching(small_course.root, "double")
    watching.until("✗ double")
    watching.press("q")


@pytest.mark.parametrize("moment", ["Watching", "---", "h shows a hint"])
def test_ctrl_c_ends_it_without_a_word(small_course: Course, answers: Answers, moment: str) -> None:
    answers(WRONG.replace("return 3 * x", "import time; time.sleep(0.5); return 3 * x"))
    watching = Watching(small_course.root, "double")
    watching.until(moment)
    watching.press("\x03")
    printed = ""
    with pytest.raises(AssertionError, match="no 'never'") as told:
        watching.until("never", seconds=30)
    printed = str(told.value)
    assert "Traceback" not in printed
    assert os.waitpid(watching.pid, 0)[1] == 0


def test_saves_are_seen_where_nobody_notifies(
    small_course: Course, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_notifications(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("watchfiles.watch", no_notifications)
    answers(SOLUTION)
    seen, stop = Seen(small_course), threading.Event()
    found = []
    for what, _ in events(small_course.root / "exercises", stop):
        assert what == LOOK
        look = seen.look(notified=False)
        if look is None and not found:
            answers(WRONG)
            found.append("saved")
        elif look is not None:
            assert [exercise.name for exercise in look[0]] == ["double", "quadruple"]
            break
    stop.set()


def test_a_file_that_is_just_being_written_is_looked_at_again(small_course: Course, answers: Answers) -> None:
    answers(SOLUTION)
    seen = Seen(small_course)
    answers("")
    assert seen.look() is None  # an editor empties a file before it writes it
    answers(SOLUTION)
    assert seen.look() is None
    answers("")
    assert seen.look(notified=False) is not None  # it has been empty for a while
