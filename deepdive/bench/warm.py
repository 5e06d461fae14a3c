"""Processes that have imported everything and wait to be told what to try.

Where it is safe, one process forks a child for every save (`Forking`). Elsewhere (macOS, Windows, a machine with a
GPU, whose driver survives no fork) each save gets a process of its own, which has been waiting for it (`Spare`).
Either is told by its standard input: a line of JSON, the names of the exercises.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from deepdive import supervisor
from deepdive.answer_files import LIBRARIES
from deepdive.course import Course, load_course
from deepdive.supervisor import Cancelled

_WISHES = 0  # the descriptor of the standard input
_PATIENCE = 1.0  # seconds, for a process that may be in the middle of an import
_GPU = Path("/dev/nvidiactl")
# Ctrl-C is for the process that watches: it ends the others.
OWN_GROUP: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}


class Warm(Protocol):
    """What tries exercises, one run at a time."""

    def start(self, exercises: Sequence[str]) -> None:
        """End the run that is going on, if any, and try these."""

    def stop(self) -> None:
        """End the run that is going on, if any."""

    def close(self) -> None:
        """Let every process go."""


def fork_is_safe() -> bool:
    return supervisor.available() and not _GPU.exists()


class Forking:
    """One process that forks.

    Args:
        root: of the course.
        hours: the numbers of the hours at hand.
    """

    def __init__(self, root: Path, hours: Iterable[int]) -> None:
        self._root, self._hours = root, set(hours)
        self._process = _begin("fork", root, self._hours)

    def start(self, exercises: Sequence[str]) -> None:
        if self._process.poll() is not None:  # somebody has ended it
            self._process = _begin("fork", self._root, self._hours)
        _tell(self._process, exercises)

    def stop(self) -> None:
        _tell(self._process, [])

    def close(self) -> None:
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()  # by which it knows, and tidies up
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        end(self._process)


class Spare:
    """A process that waits for its turn, and another as soon as it has begun.

    Args:
        root: of the course.
        hours: the numbers of the hours at hand.
    """

    def __init__(self, root: Path, hours: Iterable[int]) -> None:
        self._root, self._hours = root, set(hours)
        self._running: subprocess.Popen[bytes] | None = None
        self._next = _begin("once", root, self._hours)

    def start(self, exercises: Sequence[str]) -> None:
        self.stop()
        self._running = self._next
        _tell(self._running, exercises)
        self._next = _begin("once", self._root, self._hours)

    def stop(self) -> None:
        if self._running is not None:
            end(self._running)
            self._running = None

    def close(self) -> None:
        self.stop()
        end(self._next)


def _begin(how: str, root: Path, hours: Iterable[int]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "deepdive.bench.warm", how, str(root), *map(str, sorted(hours))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, **OWN_GROUP)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and, where there are groups, what it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tell(process: subprocess.Popen[bytes], exercises: Sequence[str]) -> None:
    with suppress(OSError):
        assert process.stdin is not None
        process.stdin.write(json.dumps(exercises).encode() + b"\n")
        process.stdin.flush()


# ── the processes themselves ────────────────────────────────────────────────────────────────────────────────────


class _Bench:
    """The course and what its checks import, as far as it is imported yet."""

    def __init__(self, root: Path, hours: Iterable[int]) -> None:
        self.course: Course = load_course(root)
        self._hours = set[int]()
        self._wanted = deque[ast.stmt | str]()
        self._want_hours(hours)

    def _want_hours(self, hours: Iterable[int]) -> None:
        for hour in self.course.hours:
            if hour.number in hours and hour.number not in self._hours:
                self._hours.add(hour.number)
                self._wanted += _imports_of(self.course.root, hour.file_name.removesuffix(".py"))

    def want(self, modules: Iterable[str]) -> None:
        """Remember modules that a child had to import: the next one shall not."""
        self._wanted += modules

    def import_one(self) -> bool:
        """Import what comes next; false when nothing is left."""
        if not self._wanted:
            return False
        wanted = self._wanted.popleft()
        with suppress(Exception):  # whoever needs it meets the same error, and tells it
            if isinstance(wanted, str):
                import_module(wanted)
            else:
                exec(compile(ast.Module([wanted], []), "<imports>", "exec"), {})
        return True

    def run(self, names: Sequence[str], wishes: int | None) -> None:
        """Try exercises, and show what came out."""
        from _pytest._io import TerminalWriter

        from deepdive.bench.trying import show, try_exercises

        exercises = [exercise for exercise in self.course.exercises if exercise.name in names]
        self._want_hours({exercise.hour for exercise in exercises})
        tried = try_exercises(self.course, exercises, wishes=wishes, imported=self.want)
        try:
            show(self.course, tried, TerminalWriter(sys.stdout))
        except RuntimeError as error:
            print(f"The kit itself failed, please report it:\n{error}", flush=True)


def _imports_of(root: Path, hour: str) -> Iterator[ast.stmt | str]:
    """What judging an hour imports, large libraries last: statements and names of modules."""
    own = [f"checks.test_{hour}", f"checks.mistakes.{hour}", f"solutions.{hour}"]
    paths = [root / f"{name.replace('.', '/')}.py" for name in own]
    yield from (name for name, path in zip(own, paths, strict=True) if path.exists())
    for path in (*paths, root / "exercises" / f"{hour}.py"):
        with suppress(OSError, SyntaxError, ValueError, RecursionError):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    roots = {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    roots = {(node.module or "").partition(".")[0]}
                else:
                    continue
                if roots <= LIBRARIES:
                    yield node


def _fork(bench: _Bench) -> None:
    """Serve wishes until nobody can have any; between them, import what will be needed."""
    while True:
        while not select.select([_WISHES], [], [], 0)[0] and bench.import_one():
            gc.freeze()  # children share what is there for good
        names = _last_wish()
        if names is None:
            return
        if names:
            with suppress(Cancelled):
                bench.run(names, _WISHES)


def _last_wish() -> list[str] | None:
    """The newest of all wishes that have come; None at their end."""
    read = b""
    while not read.endswith(b"\n"):
        part = os.read(_WISHES, 1 << 16)
        if not part:
            return None
        read += part
    wish: list[str] = json.loads(read.splitlines()[-1])
    return wish


def _once(bench: _Bench) -> None:
    """Import everything, and serve one wish."""
    while bench.import_one():
        pass
    line = sys.stdin.readline()
    if line.strip():
        bench.run(json.loads(line), None)


def main(how: str, root: Path, hours: Sequence[int]) -> None:
    from deepdive.assets import use_offline

    os.chdir(root)
    sys.path.insert(0, str(root))
    use_offline()
    bench = _Bench(root, hours)
    import deepdive.bench.trying  # noqa: F401 - and with it whatever the kit itself needs

    (_fork if how == "fork" else _once)(bench)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [int(number) for number in sys.argv[3:]])
