"""Starting an exercise over: its stub comes back, all else in the file stays, and nothing written is lost."""

from __future__ import annotations

import ast
import time
from pathlib import Path

from deepdive.build import stub_of
from deepdive.course import Course, Exercise
from deepdive.kept import FOLDER
from deepdive.source import function_in, lines_of
from deepdive.whole import whole


class CannotReset(Exception):
    """The file cannot be taken apart; the message says why."""


def reset(course: Course, exercise: Exercise) -> Path:
    """Put an exercise's stub back into the learner's file; gives the copy that is kept.

    Raises:
        CannotReset: the file is missing or has a syntax error.
    """
    name = course.hour(exercise.hour).file_name
    path = course.root / "exercises" / name
    try:
        text = path.read_text(encoding="utf-8-sig")
        mine = _lines_in(text, exercise.name)
    except OSError as error:
        raise CannotReset(f"{name} cannot be read ({error.strerror}): `deepdive build` writes a fresh one") from error
    except (SyntaxError, ValueError) as error:
        raise CannotReset(
            f"{name} has a syntax error, so one function cannot be told from the next: `deepdive reset --all`"
        ) from error
    stub = stub_of((course.root / "solutions" / name).read_text(encoding="utf-8"))
    fresh = stub.splitlines()[_lines_in(stub, exercise.name)]
    lines = text.splitlines()
    kept = keep_copy(course, path)
    lines[mine] = fresh if mine.start < len(lines) else ["", "", *fresh]
    _write(path, "\n".join(lines) + "\n")
    return kept


def reset_all(course: Course) -> list[Path]:
    """Put the stubs of all hours back; gives the copies that are kept of files that were not stubs."""
    kept = []
    for hour in course.hours:
        path = course.root / "exercises" / hour.file_name
        stub = stub_of((course.root / "solutions" / hour.file_name).read_text(encoding="utf-8"))
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") != stub:
            kept.append(keep_copy(course, path))
        path.parent.mkdir(exist_ok=True)
        _write(path, stub)
    return kept


def undo(course: Course) -> Path | None:
    """Bring the last file back that was reset; what is there now is kept in its place. None when there is none."""
    copies = sorted((course.root / FOLDER / "before").glob("[0-9]*-hour*.py"))
    if not copies:
        return None
    path = course.root / "exercises" / copies[-1].name.partition("-")[2]
    content = copies[-1].read_bytes()
    copies[-1].unlink()
    if path.exists():
        (copies[-1].parent / f"undone-{path.name}").write_bytes(path.read_bytes())
    path.write_bytes(content)
    return path


def _lines_in(text: str, function: str) -> slice:
    """Where a function stands; the end of the text when it is not there."""
    found = function_in(ast.parse(text), function)
    return lines_of(found) if found else slice(len(text.splitlines()), None)


def keep_copy(course: Course, path: Path) -> Path:
    """Keep a file as it is now, for `undo`; gives the copy."""
    folder = course.root / FOLDER / "before"
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{time.time_ns()}-{path.name}"
    copy.write_bytes(path.read_bytes())
    return copy


def _write(path: Path, text: str) -> None:
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
