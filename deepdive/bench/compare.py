"""A learner's answer beside the reference, or beside the stub of a newer kit."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path

from deepdive.course import BEGIN, END, Course, Exercise
from deepdive.source import declared_lines, function_in, lines_of


def difference(course: Course, exercise: Exercise) -> str:
    """A unified diff from the learner's function to the reference; empty when they are the same.

    Raises:
        ValueError: the learner's file cannot be read or parsed; the message says why.
    """
    mine, reference = _both(course, exercise, whole=True)
    kept = [line for line in reference if line.strip() not in (BEGIN, END)]
    return _diff(mine, kept, "reference")


def stub_difference(course: Course, exercise: Exercise) -> str:
    """The same for what the kit's stub says now, signature and docstring: nothing of an answer is shown.

    Raises:
        ValueError: the learner's file cannot be read or parsed; the message says why.
    """
    return _diff(*_both(course, exercise, whole=False), "stub")


def _both(course: Course, exercise: Exercise, *, whole: bool) -> tuple[list[str], list[str]]:
    name = course.hour(exercise.hour).file_name
    mine, kits = (_lines(course.root / folder / name, exercise.name, whole) for folder in ("exercises", "solutions"))
    return mine, kits


def _lines(path: Path, name: str, whole: bool) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = function_in(ast.parse(text), name)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    lines = text.splitlines()
    return lines[lines_of(found) if whole else declared_lines(found)] if found else []


def _diff(mine: list[str], kits: list[str], what: str) -> str:
    return "\n".join(difflib.unified_diff(mine, kits, "yours", what, n=3, lineterm=""))
