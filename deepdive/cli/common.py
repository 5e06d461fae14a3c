"""What the commands share: the application, the course at hand, and how a person is told of a mistake."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from deepdive.course import Course, CourseError, Exercise, find_root, load_course

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")


def known_exercises(incomplete: str) -> list[tuple[str, str]]:
    """The exercises whose name a shell may complete, each with what it is about."""
    root = find_root(Path.cwd())
    try:
        exercises = list(load_course(root).exercises) if root else []
    except (CourseError, SyntaxError, OSError):
        return []
    return [(each.name, each.summary) for each in exercises if each.name.startswith(incomplete)]


ExerciseName = Annotated[
    str, typer.Argument(help="The exercise's name, `softmax` for example.", autocompletion=known_exercises)
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]


def course_here() -> Course:
    """The course of the folder that the command was given in, or the end of it."""
    root = find_root(Path.cwd())
    if root is None:
        stop(f"there is no course here: {Path.cwd()} is not inside a folder with solutions/ and checks/")
    try:
        return load_course(root)
    except (CourseError, SyntaxError) as error:
        stop(f"the course cannot be read: {error}")


def exercise_called(course: Course, name: str) -> Exercise:
    """The exercise of this name; where there is none, the names that are near."""
    try:
        return course.exercise(name)
    except KeyError as error:
        stop(error.args[0])


def hours_wanted(course: Course, wanted: list[int] | None) -> set[int]:
    """The hours asked for, all when none was."""
    known = {each.number for each in course.hours}
    if strange := sorted(set(wanted or ()) - known):
        stop(f"there is no hour {strange[0]}; there are {', '.join(map(str, sorted(known)))}")
    return set(wanted or known)


def places_there(wanted: list[Path]) -> list[Path]:
    """The folders and files asked for, if all of them exist."""
    if missing := [place for place in wanted if not place.exists()]:
        stop(f"{missing[0]}: there is no such folder or file")
    return wanted


def print_text(text: str) -> None:
    """To a terminal that may know ASCII only."""
    from deepdive.report.terminal import say

    say(text)


def print_json(value: object) -> None:
    """For other programs, indented."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode("utf-8"))


def terminal_width() -> int:
    """In columns."""
    import shutil

    return shutil.get_terminal_size().columns


@contextmanager
def told_in_a_sentence(error: type[Exception]) -> Iterator[None]:
    """End the command with a sentence where the block raises this, or an OSError: of which file, and why."""
    try:
        yield
    except error as mistake:
        stop(str(mistake))
    except OSError as mistake:
        name = mistake.filename2 or mistake.filename
        stop(f"{name}: {mistake.strerror}" if name and mistake.strerror else str(mistake))


def stop(message: str) -> NoReturn:
    """End the command, having said what was wrong with it."""
    typer.echo(f"deepdive: {message}", err=True)
    sys.exit(2)
