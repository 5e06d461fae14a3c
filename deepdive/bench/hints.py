"""Hints, one at a time: first a question, then a pointer, then nearly the code. Those shown are remembered."""

from __future__ import annotations

import json
from contextlib import suppress

from deepdive.course import Course, Exercise
from deepdive.kept import FOLDER

_WIDEST = 100  # columns


def next_hint(course: Course, exercise: Exercise) -> int:
    """The number of the next hint for an exercise, and remember that it was shown; the last one stays the next."""
    path = course.root / FOLDER / "hints.json"
    shown: dict[str, int] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError):  # none yet, or somebody else's file
        shown = {str(name): int(number) for name, number in json.loads(path.read_text(encoding="utf-8")).items()}
    number = min(shown.get(exercise.name, 0) + 1, len(exercise.hints))
    with suppress(OSError):  # where the folder cannot be written to, it is forgotten
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**shown, exercise.name: number}), encoding="utf-8")
    return number


def print_hint(exercise: Exercise, number: int, again: str) -> None:
    """Print one of an exercise's hints, counted from 1, and how to get the next."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(width=min(Console().width, _WIDEST))
    console.print(f"\n{exercise.name} · hint {number} of {len(exercise.hints)}\n", style="bold", highlight=False)
    console.print(Markdown(exercise.hints[number - 1]))
    if number < len(exercise.hints):
        console.print(f"\nStill stuck?  {again}", style="dim", highlight=False)
