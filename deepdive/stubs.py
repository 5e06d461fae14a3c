"""Stubs that a newer kit has changed since a learner began with them.

An update of the kit never touches a learner's answers; so what has changed in the stubs is told. What an answer began
with is remembered beside the verdicts. Until the kit's solutions change, nothing of it is looked at again.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from deepdive.course import Course, Exercise
from deepdive.kept import FOLDER
from deepdive.source import declaration_of


class _Known(msgspec.Struct):
    """What is remembered.

    Args:
        solutions: a digest of the solutions when they were last looked at.
        began: by exercise, a digest of the declaration that the learner's function began with.
    """

    solutions: str = ""
    began: dict[str, str] = {}


class Changed(msgspec.Struct, frozen=True):
    """What is new for a learner's files.

    Args:
        stubs: exercises whose stub says something else than the learner's function, which began with an older one.
        new: exercises that a learner's file does not have, since they came later.
    """

    stubs: tuple[Exercise, ...] = ()
    new: tuple[Exercise, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What to tell, a line for each kind."""
        told = []
        if self.stubs:
            names = ", ".join(exercise.name for exercise in self.stubs)
            told.append(f"a newer kit says more about {names}: deepdive diff {self.stubs[0].name} --stub")
        if self.new:
            names = ", ".join(exercise.name for exercise in self.new)
            told.append(f"new in this kit: {names}; deepdive reset {self.new[0].name} puts its stub into your file")
        return told


def changed_stubs(course: Course) -> Changed:
    """What has changed since the learner began; what is told is told until the learner's file says the same."""
    path = course.root / FOLDER / "stubs.json"
    known = _Known()
    with suppress(OSError, msgspec.MsgspecError):
        known = msgspec.json.decode(path.read_bytes(), type=_Known)
    paths = {hour.number: course.root / "solutions" / hour.file_name for hour in course.hours}
    digest = sha256(b"".join(path.read_bytes() for path in paths.values())).hexdigest()
    if digest == known.solutions:
        return Changed()
    stubs, new, began = list[Exercise](), list[Exercise](), dict(known.began)
    for hour in course.hours:
        kit, mine = _declarations(paths[hour.number]), _declarations(course.root / "exercises" / hour.file_name)
        for exercise in hour.exercises if mine else ():
            if exercise.name not in mine and exercise.name not in began:
                new.append(exercise)
            elif exercise.name not in began or mine.get(exercise.name) == kit[exercise.name]:
                began[exercise.name] = kit[exercise.name]
            elif exercise.name in mine and began[exercise.name] != kit[exercise.name]:
                stubs.append(exercise)
    changed = Changed(tuple(stubs), tuple(new))
    _remember(course, _Known("" if changed.lines else digest, began))
    return changed


def _remember(course: Course, known: _Known) -> None:
    with suppress(OSError):  # where the folder cannot be written to, it is forgotten
        folder = course.root / FOLDER
        folder.mkdir(exist_ok=True)
        (folder / "stubs.json").write_bytes(msgspec.json.encode(known))


def _declarations(path: Path) -> dict[str, str]:
    """By function of a file a digest of its declaration; none of a file that is missing or no Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: sha256(declaration_of(node).encode()).hexdigest()[:16] for node in functions}
