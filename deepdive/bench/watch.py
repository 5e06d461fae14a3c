"""Trying an answer the moment it is saved.

One process stays warm, with pytest and the numerical libraries imported; where it is safe, every save forks a child
from it, which runs plain pytest on the exercises that the edit can reach. Elsewhere (macOS, Windows) a spare process
has imported the same beforehand and waits for its turn. A save during a run ends that run.
"""

from __future__ import annotations

import ast
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deepdive import supervisor
from deepdive.course import Course, Exercise
from deepdive.reach import digest_of

SAVED, KEY = "saved", "key"
_KEYS = "n next · h hint · a all · q quit"
_WARM = ("numpy", "pytest", "rich", "deepdive.pytest_plugin", "deepdive.judge", "deepdive.report.board")


class Answers:
    """The learner's files as they were when last looked at.

    Args:
        course: the course.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._digests = self._look()

    def reached(self) -> tuple[list[Exercise], str]:
        """The exercises that edits since last time can reach; and, of a file that is no Python now, what is wrong."""
        before, self._digests = self._digests, self._look()
        changed = [e for e in self._course.exercises if before.get(e.name) != self._digests.get(e.name)]
        return changed, self._syntax_error()

    def _look(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for hour in self._course.hours:
            path = self._course.root / "exercises" / hour.file_name
            with suppress(OSError, SyntaxError, ValueError, RecursionError):
                tree = ast.parse(path.read_bytes())
                found |= {e.name: digest_of(tree, e.name, path.parent) for e in hour.exercises}
        return found

    def _syntax_error(self) -> str:
        for hour in self._course.hours:
            path = self._course.root / "exercises" / hour.file_name
            try:
                ast.parse(path.read_bytes())
            except SyntaxError as error:
                line = (error.text or "").rstrip()
                return f"exercises/{hour.file_name}, line {error.lineno}: {error.msg}\n\n    {line}"
            except (OSError, ValueError, RecursionError):
                continue
        return ""


class Runs:
    """One run of pytest at a time, in a process of its own.

    Args:
        root: of the course.
        ended: called, from another thread, when a run has ended by itself.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: _Forked | _Spare | None = None
        self._spare = None if supervisor.available() else _Spare(root)

    def start(self, arguments: Iterable[str]) -> None:
        """End the run that is going on, if any, and start another."""
        self.stop()
        wanted = list(arguments)
        if supervisor.available():
            self._process = _Forked(self._root, wanted)
        else:
            self._process = self._spare or _Spare(self._root)
            self._process.go(wanted)
            self._spare = _Spare(self._root)

    def stop(self) -> None:
        """End the run that is going on, if any."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def wait(self) -> None:
        """Until the run has ended."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.stop()
        if self._spare is not None:
            self._spare.stop()


class _Forked:
    def __init__(self, root: Path, arguments: list[str]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                code = run_pytest(root, arguments)
            finally:
                sys.stdout.flush()
                os._exit(code)
        with suppress(OSError):
            os.setpgid(self._pid, self._pid)  # by whoever is first: the group can be ended from now on

    def stop(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> None:
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


class _Spare:
    """A process that has imported everything and waits to be told what to run."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "deepdive.bench.watch", str(root)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, encoding="utf-8")

    def go(self, arguments: list[str]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n".join(arguments) + "\n")
            self._process.stdin.close()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        self._process.wait()


def warm() -> None:
    """Import what every run needs."""
    for name in _WARM:
        __import__(name)


def run_pytest(root: Path, arguments: list[str]) -> int:
    """Plain pytest, at the course's root."""
    import pytest

    os.chdir(root)
    return int(pytest.main([*arguments, "--no-header", "-q", "-W", "ignore::pytest.PytestAssertRewriteWarning"]))


def arguments_for(exercises: Iterable[Exercise]) -> list[str]:
    """What pytest is told to run just these."""
    return [part for exercise in exercises for part in ("--exercise", exercise.name)]


def events(folder: Path, stop: threading.Event) -> Iterator[tuple[str, str]]:
    """Saves and keys, as they come: `("saved", "")`, `("key", "n")`."""
    found: queue.Queue[tuple[str, str]] = queue.Queue()
    threads = [
        threading.Thread(target=_watch, args=(folder, found, stop), daemon=True),
        threading.Thread(target=_read_keys, args=(found, stop), daemon=True),
    ]
    for thread in threads:
        thread.start()
    while not stop.is_set():
        with suppress(queue.Empty):
            yield found.get(timeout=0.2)


def _watch(folder: Path, found: queue.Queue[tuple[str, str]], stop: threading.Event) -> None:
    from watchfiles import DefaultFilter, watch

    # 20 ms: editors save in two or three steps; longer would be felt. Where there is no notification (network drives,
    # Docker, WSL), watchfiles polls: WATCHFILES_FORCE_POLLING=1.
    for _ in watch(
        folder, watch_filter=DefaultFilter(), debounce=50, step=20, stop_event=stop, raise_interrupt=False
    ):
        found.put((SAVED, ""))


def _read_keys(found: queue.Queue[tuple[str, str]], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            if not sys.stdin.isatty() or sys.platform == "win32":
                key = sys.stdin.readline()
                if not key:
                    return
            elif not select.select([sys.stdin], [], [], 0.2)[0]:
                continue
            else:
                key = os.read(sys.stdin.fileno(), 1).decode("utf-8", "replace")
        except (OSError, ValueError):
            return
        if key.strip():
            found.put((KEY, key.strip()[0].lower()))


@contextmanager
def single_keys() -> Iterator[None]:
    """Let a terminal hand over each key at once, if there is one."""
    try:
        import termios
        import tty

        before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin.fileno())
    except (ImportError, OSError, ValueError):  # Windows, or no terminal
        yield
        return
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def watch_exercises(course: Course, first: Exercise | None) -> None:
    """Try what is saved, until somebody presses q.

    Args:
        course: the course.
        first: the exercise at hand, for its hints.
    """
    from deepdive.bench.standing import next_hint, standing

    warm()
    at_hand = first
    answers, runs, stop = Answers(course), Runs(course.root), threading.Event()
    say(f"Watching exercises/. Save a file and see.   {_KEYS}")
    try:
        with single_keys():
            for what, key in events(course.root / "exercises", stop):
                if what == SAVED:
                    reached, problem = answers.reached()
                    if problem:
                        runs.stop()
                        say(f"\n✗ {problem}")
                    elif reached:
                        at_hand = reached[0]
                        runs.start(arguments_for(reached) if len(reached) < len(list(course.exercises)) else [])
                elif key == "q":
                    return
                elif key == "a":
                    runs.start([])
                elif key == "h" and at_hand is not None and at_hand.hints:
                    number = next_hint(course, at_hand)
                    say(f"\n{at_hand.name} · hint {number} of {len(at_hand.hints)}\n\n{at_hand.hints[number - 1]}")
                elif key == "n":
                    say("\n" + standing(course).text(80))
    except KeyboardInterrupt:
        return
    finally:
        stop.set()
        runs.close()


def say(text: str) -> None:
    """To the terminal, at once."""
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)


if __name__ == "__main__":  # a spare process: its arguments come when it is its turn
    warm()
    told = sys.stdin.read().splitlines()
    sys.exit(run_pytest(Path(sys.argv[1]), told) if told is not None else 0)
