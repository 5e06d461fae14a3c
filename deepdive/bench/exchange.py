"""Carrying answers between `exercises/` and `notebooks/`, keeping a copy of whatever is replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from deepdive.bench.notebooks import build_notebooks, module_of, notebook_of, write
from deepdive.bench.starting_over import keep_copy
from deepdive.course import Course, Hour


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
        start, end = (self._notebook, self._module) if way == "export" else (self._module, self._notebook)
        found = [hour for hour in self._hours if start(hour).exists()]
        if not found:
            missing = {"export": "no notebooks are there: deepdive notebook build", "import": "no exercises"}
            raise NothingToDo(missing[way])
        for hour in found:
            target = end(hour)
            if target.exists():
                keep_copy(self._course, target)
            text = start(hour).read_text(encoding="utf-8" if way == "export" else "utf-8-sig")
            if way == "export":
                target.write_text(module_of(json.loads(text)), encoding="utf-8")
            else:
                target.parent.mkdir(exist_ok=True)
                write(target, notebook_of(self._course, hour, text))
            yield f"{target.parent.name}/{target.name}: written"

    def _module(self, hour: Hour) -> Path:
        return self._course.root / "exercises" / hour.file_name

    def _notebook(self, hour: Hour) -> Path:
        return self._course.root / "notebooks" / hour.file_name.replace(".py", ".ipynb")
