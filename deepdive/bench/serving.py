"""The processes that try exercises: they import everything, wait to be told which, and show what came out.

    python -m deepdive.bench.serving fork|once ROOT HOUR…

Told by the standard input: a line of JSON, the names of the exercises, none to end what is going on. `fork` serves
until the input ends, each time by a child of its own that has been waiting; `once` serves one line.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import select
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from _pytest._io import TerminalWriter

from deepdive.answer_files import LIBRARIES
from deepdive.assets import use_offline
from deepdive.bench.trying import Runner, show
from deepdive.bench.warm import TELLING
from deepdive.course import Course, Exercise, load_course
from deepdive.supervisor import Cancelled

_QUICK = 0.1  # seconds that all checks of an exercise take
_MOST = 2  # exercises that are rehearsed
_WISHES = 0  # the descriptor of the standard input


class _Bench:
    """The course and what its checks import, as far as it is imported yet."""

    def __init__(self, root: Path, hours: Iterable[int]) -> None:
        self.course: Course = load_course(root)
        self._hours = set[int]()
        self._wanted = deque[ast.stmt | str]()
        self.quick = list[Exercise]()  # tried last, and no burden on anybody when tried once more
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

    def run(self, runner: Runner, names: Sequence[str]) -> None:
        """Try exercises, and show what came out."""
        exercises = [exercise for exercise in self.course.exercises if exercise.name in names]
        self._want_hours({exercise.hour for exercise in exercises})
        try:
            show(self.course, runner.tried(exercises), TerminalWriter(sys.stdout))
        except RuntimeError as error:
            print(f"The kit itself failed, please report it:\n{error}", flush=True)
        spent = defaultdict[str, float](float)
        for verdict in runner.found:
            spent[verdict.exercise] += max(verdict.seconds, 1e-6)
        self.quick = [exercise for exercise in exercises if 0 < spent[exercise.name] < _QUICK][:_MOST]


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
        while not select.select([_WISHES], [], [], 0)[0]:
            if not bench.import_one():
                _tell_that_all_is_imported()
                break
        gc.freeze()  # children share what is there for good
        with Runner(bench.course, _WISHES, bench.want) as runner:
            runner.prepare(bench.quick)
            names = _last_wish()
            if names is None:
                return
            if names:
                with suppress(Cancelled):
                    bench.run(runner, names)


def _tell_that_all_is_imported() -> None:
    if telling := os.environ.pop(TELLING, ""):
        os.close(int(telling))


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
        with Runner(bench.course) as runner:
            bench.run(runner, json.loads(line))


def main(how: str, root: Path, hours: Sequence[int]) -> None:
    os.chdir(root)
    sys.path.insert(0, str(root))
    use_offline()
    bench = _Bench(root, hours)
    (_fork if how == "fork" else _once)(bench)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [int(number) for number in sys.argv[3:]])
