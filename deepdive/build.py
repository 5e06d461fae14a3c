"""From solutions to stubs: `exercises/hourN_topic.py` is `solutions/hourN_topic.py` without its solution regions.

Signatures, docstrings and the hour's plan are written once, in the solution. A file the learner has worked on is
never replaced unless told, and then a copy of it is kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deepdive.course import BEGIN, END, Course, CourseError, Hour
from deepdive.whole import whole


class Written(StrEnum):
    """What became of one stub file."""

    NEW = "written"
    SAME = "up to date"
    KEPT = "kept: it has been worked on"
    REPLACED = "replaced"


@dataclass(frozen=True)
class Built:
    """One stub file, what became of it, and the copy that was kept of the file it replaced."""

    path: Path
    written: Written
    backup: Path | None = None


def stub_of(source: str, name: str = "the solution") -> str:
    """The stub for a solution file: each region becomes `raise NotImplementedError`.

    Args:
        source: the solution file's text.
        name: what to call it in an error.

    Raises:
        CourseError: a region that is opened twice, never opened or never closed.
    """
    lines: list[str] = []
    opened = 0
    for number, line in enumerate(source.splitlines(), start=1):
        mark = line.strip()
        if mark == BEGIN:
            if opened:
                raise CourseError(f"{name} line {number}: the solution region of line {opened} is still open")
            opened = number
            lines.append(line[: len(line) - len(line.lstrip())] + "raise NotImplementedError")
        elif mark == END:
            if not opened:
                raise CourseError(f"{name} line {number}: no solution region is open")
            opened = 0
        elif not opened:
            lines.append(line)
    if opened:
        raise CourseError(f"{name}: the solution region of line {opened} is never closed")
    return "\n".join(lines) + "\n"


def build(course: Course, destination: Path, *, force: bool = False) -> list[Built]:
    """Write the stub of every hour into `destination`.

    Args:
        course: the course.
        destination: the folder, usually `exercises/`; made when missing.
        force: replace files that differ from the stub, keeping a copy of each.
    """
    destination.mkdir(parents=True, exist_ok=True)
    return [_build_hour(course, hour, destination, force) for hour in course.hours]


def _build_hour(course: Course, hour: Hour, destination: Path, force: bool) -> Built:
    solution = course.root / "solutions" / hour.file_name
    stub = stub_of(solution.read_text(encoding="utf-8"), f"solutions/{hour.file_name}").encode("utf-8")
    path = destination / hour.file_name
    if not path.exists():
        _write(path, stub)
        return Built(path, Written.NEW)
    present = path.read_bytes()
    if present == stub:
        return Built(path, Written.SAME)
    if not force:
        return Built(path, Written.KEPT)
    backup = _free_name(path)
    backup.write_bytes(present)
    _write(path, stub)
    return Built(path, Written.REPLACED, backup)


def _free_name(path: Path) -> Path:
    """`hour1_attention.backup-1.py`, or the first number not taken yet."""
    number = 1
    while (backup := path.with_suffix(f".backup-{number}.py")).exists():
        number += 1
    return backup


def _write(path: Path, content: bytes) -> None:
    with whole(path) as partial:
        partial.write_bytes(content)
