"""Marks in the formats that a course's other systems read; one module a format, each a pure function to texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deepdive.course import Course
from deepdive.grading.export import canvas, classroom, exercism, gradescope, html, jsonl, junit, moodle, plain
from deepdive.grading.export.text import ExportError
from deepdive.grading.marks import Mark
from deepdive.whole import whole

__all__ = ["FORMATS", "POINTS_ONLY", "ExportError", "write"]

# From the course and the marks to the files' texts, by their names below the output folder.
FORMATS: dict[str, Callable[..., dict[str, str]]] = {
    "gradescope": gradescope.files,
    "canvas": canvas.files,
    "moodle": moodle.files,
    "classroom": classroom.files,
    "exercism": exercism.files,
    "junit": junit.files,
    "csv": plain.files,
    "jsonl": jsonl.files,
    "html": html.files,
}
POINTS_ONLY = {"canvas", "moodle"}  # what the checks found is not in them, and need not be read


def write(format: str, course: Course, marks: Sequence[Mark], out: Path, **options: Any) -> list[Path]:
    """Write marks in a format below `out`, each file whole or not at all.

    Args:
        format: one of FORMATS.
        options: of that format; `assignments` and `ids` of canvas, `by` and `item` of moodle.

    Returns:
        The files' paths.

    Raises:
        ExportError: there is no such format, or the marks cannot be written in it; nothing has been written.
        OSError: a file cannot be written.
    """
    if format not in FORMATS:
        raise ExportError(f"there is no format {format!r}; there are {', '.join(FORMATS)}")
    texts = FORMATS[format](course, marks, **options)
    return [_write(out / name, text) for name, text in texts.items()]


def _write(path: Path, text: str) -> Path:
    with whole(path) as partial:
        partial.write_bytes(text.encode("utf-8"))
    return path
