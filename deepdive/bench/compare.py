"""A learner's answer beside the reference."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path

from deepdive.course import BEGIN, END, Course, Exercise


def difference(course: Course, exercise: Exercise) -> str:
    """A unified diff from the learner's function to the reference; empty when they are the same.

    Raises:
        ValueError: the learner's file cannot be read or parsed; the message says why.
    """
    name = course.hour(exercise.hour).file_name
    mine = function_in(course.root / "exercises" / name, exercise.name)
    reference = function_in(course.root / "solutions" / name, exercise.name)
    kept = [line for line in reference if line.strip() not in (BEGIN, END)]
    return "\n".join(difflib.unified_diff(mine, kept, "yours", "reference", n=3, lineterm=""))


def function_in(path: Path, name: str) -> list[str]:
    """The lines of a function in a file.

    Raises:
        ValueError: the file cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return text.splitlines()[found[-1].lineno - 1 : found[-1].end_lineno] if found else []
