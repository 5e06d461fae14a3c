"""Trying an answer the moment it is saved.

This process sees the saves and the keys, knows which exercises an edit can reach, and tells syntax errors by itself.
Trying is done by others, which are warm (`deepdive.bench.warm`). A save during a run ends that run.
"""

from __future__ import annotations

import ast
import os
import queue
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deepdive.bench.hints import next_hint, print_hint
from deepdive.bench.standing import standing
from deepdive.bench.warm import OWN_GROUP, Forking, Spare, Warm, end, fork_is_safe
from deepdive.course import Course, CourseError, Exercise, Hour, load_course
from deepdive.reach import Memory, Reach
from deepdive.report.terminal import say
from deepdive.source import content_of

SAVED, LOOK, KEY = "saved", "look", "key"  # a notification; nothing for a while, which may mean there are none; a key
_SETTLE = 2  # milliseconds: editors save in two or three steps
_PATIENCE = 500  # milliseconds until one looks without having been notified


class Answers:
    """The learner's files as they were when last looked at.

    Args:
        course: the course.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._folder = course.root / "exercises"
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._contents: dict[Path, bytes] = {}
        self._digests: dict[str, str] = {}
        self._memory: Memory = {}
        self.errors: dict[Path, str] = {}
        self.look()

    def look(self, *, notified: bool = True) -> tuple[list[Exercise], str] | None:
        """The exercises that edits since last time can reach; and, of a file that is no Python now, what is wrong.

        What is said of a file that can be read again, with nothing in it changed, counts as the latter. None when
        nothing has been saved. Without a notification only the files' times and sizes are looked at.
        """
        stamps = {path: _stamp(path) for path in self._folder.glob("*.py")}
        if not notified and stamps == self._stamps:
            return None
        self._stamps = stamps
        contents = {path: content_of(path) for path in stamps}
        if any(not text and self._contents.get(path) for path, text in contents.items()) and notified:
            self._stamps = {}  # somebody is in the middle of writing it, or has emptied it: look again
            return None
        if contents == self._contents:
            return None
        changed = {path for path in contents | self._contents if contents.get(path) != self._contents.get(path)}
        self._contents = contents
        before, broken = self._digests, set(self.errors)
        hours = {self._folder / hour.file_name: hour for hour in self._course.hours}
        for path, hour in hours.items():
            if path in changed or changed - hours.keys():  # a file beside them may be imported by any
                self._digests = self._digests | self._read(path, hour)
        reached = [e for e in self._course.exercises if before.get(e.name) != self._digests.get(e.name)]
        mended = [f"exercises/{path.name} is Python again" for path in sorted(broken - self.errors.keys())]
        wrong = [self.errors[path] for path in sorted(changed & self.errors.keys())]
        return reached, "\n\n".join(wrong or ([] if reached else mended))

    def _read(self, path: Path, hour: Hour) -> dict[str, str]:
        """The digest of each exercise of a file; none of a file that is no Python, about which its error says all."""
        self.errors.pop(path, None)
        content = self._contents.get(path)
        try:
            tree = ast.parse(content or b"")
        except SyntaxError as error:
            line = (error.text or "").rstrip()
            self.errors[path] = f"✗ exercises/{path.name}, line {error.lineno}: {error.msg}\n\n    {line}"
            return {}
        except (ValueError, RecursionError, MemoryError) as error:
            self.errors[path] = f"✗ exercises/{path.name} cannot be read: {error}"
            return {}
        reach = Reach(tree, path.parent, content or b"", self._memory)
        return {exercise.name: reach.digest(exercise.name) for exercise in hour.exercises}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def events(folder: Path, stop: threading.Event) -> Iterator[tuple[str, str]]:
    """Saves and keys, as they come: `("saved", "")`, `("key", "n")`; `("look", "")` whenever it has been quiet."""
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
    from watchfiles import watch

    try:
        for changes in watch(
            folder,
            debounce=50,
            step=_SETTLE,
            rust_timeout=_PATIENCE,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=False,
        ):
            found.put((SAVED if changes else LOOK, ""))
    except (OSError, RuntimeError):  # no notifications to be had, or no more of them
        while not stop.wait(_PATIENCE / 1000):
            found.put((LOOK, ""))


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
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin, termios.TCSADRAIN)  # what was typed already counts
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def watch_exercises(course: Course, first: Exercise | None, *, fork: bool | None = None) -> None:
    """Try what is saved, until somebody presses q.

    Args:
        course: the course.
        first: the exercise at hand: it is tried at once, and its hints are those that a key shows.
        fork: whether runs are forked from one process or have one each; what is safe here when left out.
    """
    stop = threading.Event()
    with suppress(KeyboardInterrupt):
        watching = _Watching(course, first, fork=fork_is_safe() if fork is None else fork)
        try:
            with single_keys():
                watching.begin()
                for what, key in events(course.root / "exercises", stop):
                    if key == "q":
                        return
                    if what == KEY:
                        watching.press(key)
                    else:
                        watching.look(notified=what == SAVED)
        finally:
            stop.set()
            watching.close()


class _Watching:
    """What is known from one event to the next, and who tries."""

    def __init__(self, course: Course, at_hand: Exercise | None, *, fork: bool) -> None:
        self._course, self._at_hand, self._fork = course, at_hand, fork
        self._answers, self._judges = Answers(course), _judges(course)
        self._warm = self._warmed()
        self._everything: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Say where one stands, and try the exercise at hand, if there is one."""
        say(f"{standing(self._course).text(_width(), brief=True)}\n\nWatching exercises/: save a file, and see.")
        say("n next · h hint · a all · q quit" + (", each with Enter" if sys.platform == "win32" else ""))
        for problem in self._answers.errors.values():
            say(f"\n{problem}")
        if self._at_hand is not None:
            self._warm.start([self._at_hand.name])

    def look(self, *, notified: bool) -> None:
        """Try what has been saved, if anything has; begin anew when the course itself has changed."""
        if not notified and (judges := _judges(self._course)) != self._judges:
            self._judges = judges
            self._reload()
        seen = self._answers.look(notified=notified)
        if seen is None:
            return
        reached, problem = seen
        if problem:
            self._stop()
            say(f"\n{problem}")
        elif reached:
            self._stop_pytest()
            self._at_hand = reached[0]
            if not self._warm.ready:
                say("\nOne moment: what the checks need is still being imported.")
            self._warm.start([exercise.name for exercise in reached])

    def press(self, key: str) -> None:
        """Do what a key says."""
        if key == "n":
            say("\n" + standing(self._course).text(_width()))
        elif key == "a":
            self._stop()
            command = [sys.executable, "-m", "pytest", "--no-header", "-q"]
            self._everything = subprocess.Popen(command, cwd=self._course.root, stdin=subprocess.DEVNULL, **OWN_GROUP)
        elif key == "h" and self._at_hand is None:
            say("\nSave an exercise first, or name it: deepdive watch softmax")
        elif key == "h" and self._at_hand is not None:
            if self._at_hand.hints:
                print_hint(self._at_hand, next_hint(self._course, self._at_hand), "h shows the next")
            else:
                say(f"\n{self._at_hand.name} has no hints")

    def close(self) -> None:
        """End whatever runs."""
        self._stop()
        self._warm.close()

    def _warmed(self) -> Warm:
        hours = {self._at_hand.hour} if self._at_hand else standing(self._course).shown
        return (Forking if self._fork else Spare)(self._course.root, hours)

    def _reload(self) -> None:
        try:
            self._course = load_course(self._course.root)
        except (CourseError, SyntaxError, OSError) as error:
            say(f"\nThe course has changed, and cannot be read: {error}")
            return
        self._answers = Answers(self._course)
        self._warm.close()
        self._warm = self._warmed()
        say("\nThe course has changed: these are other checks now.")
        names = {exercise.name for exercise in self._course.exercises}
        if self._at_hand is not None and self._at_hand.name in names:
            self._warm.start([self._at_hand.name])

    def _stop(self) -> None:
        self._warm.stop()
        self._stop_pytest()

    def _stop_pytest(self) -> None:
        if self._everything is not None:
            end(self._everything)
            self._everything = None


def _judges(course: Course) -> list[tuple[int, int]]:
    """The times and sizes of all files that a course is made of: it may be pulled anew in the middle."""
    folders = ("solutions", "checks", "checks/mistakes", "checks/given", "checks/hints")
    return [_stamp(path) for folder in folders for path in sorted((course.root / folder).glob("*.*"))]


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 100)
