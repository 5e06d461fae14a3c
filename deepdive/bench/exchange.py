"""Carrying answers between `exercises/` and `notebooks/`, keeping a copy of whatever is replaced."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from deepdive.bench.notebooks import build_notebooks, module_of, notebook_of, write
from deepdive.course import Course, Hour
from deepdive.kept import FOLDER


class NothingToDo(Exception):
    """There is nothing to carry; the message says why."""


class Exchange:
    """One course's modules and notebooks.

    Args:
        course: the course.
        number: of the hour; all when None.
    """

    def __init__(self, course: Course, number: int | None) -> None:
        self._course = course
        self._hours = [hour for hour in course.hours if number in (None, hour.number)]
        if not self._hours:
            raise NothingToDo(f"there is no hour {number}")

    def go(self, way: str) -> Iterator[str]:
        """Do it; a line for each file.

        Raises:
            NothingToDo: no file to start from.
            ValueError: a file cannot be taken apart.
        """
        if way == "build":
            written = build_notebooks(self._course, self._course.root / "notebooks")
            yield from (f"notebooks/{path.name}: written" for path in written)
            if not written:
                yield "all notebooks are there; yours are never replaced by this"
            return
        found = [
            hour for hour in self._hours if (self._notebook(hour) if way == "export" else self._module(hour)).exists()
        ]
        if not found:
            raise NothingToDo(
                "no notebooks are there: deepdive notebook build" if way == "export" else "no exercises"
            )
        for hour in found:
            target = self._module(hour) if way == "export" else self._notebook(hour)
            self._keep(target)
            if way == "export":
                notebook = json.loads(self._notebook(hour).read_text(encoding="utf-8"))
                target.write_text(module_of(notebook), encoding="utf-8")
            else:
                target.parent.mkdir(exist_ok=True)
                write(target, notebook_of(self._course, hour, self._module(hour).read_text(encoding="utf-8-sig")))
            yield f"{target.parent.name}/{target.name}: written"

    def _module(self, hour: Hour) -> Path:
        return self._course.root / "exercises" / hour.file_name

    def _notebook(self, hour: Hour) -> Path:
        return self._course.root / "notebooks" / hour.file_name.replace(".py", ".ipynb")

    def _keep(self, path: Path) -> None:
        if path.exists():
            folder = self._course.root / FOLDER / "before"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{time.time_ns()}-{path.name}").write_bytes(path.read_bytes())
