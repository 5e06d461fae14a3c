"""The plugin's options: whose answers are tried, on which exercises; a slip in one ends with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deepdive.answers import DEFAULT_SECONDS
from deepdive.course import Course, Exercise


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("deepdive", "deepdive: exercises and their checks")
    group.addoption("--hour", action="append", type=int, metavar="N", help="only this hour's checks (repeatable)")
    group.addoption("--exercise", action="append", metavar="NAME", help="only this exercise's checks (repeatable)")
    group.addoption("--core", action="store_true", help="only the core exercises")
    group.addoption("--stretch", action="store_true", help="only the stretch exercises")
    group.addoption(
        "--against",
        default="exercises",
        metavar="WHERE",
        help="whose answers to try: exercises (yours, the default), solutions, or a folder or file (--against=PATH, "
        "with the equals sign: pytest takes a path that stands alone for one of its own)",
    )
    group.addoption("--deepdive-json", type=Path, metavar="PATH", help="write the verdicts to this file")
    group.addoption("--deepdive-seed", type=int, default=0, metavar="N", help="the seed of the checks' random inputs")
    group.addoption(
        "--time-limit",
        type=float,
        default=DEFAULT_SECONDS,
        metavar="S",
        help="seconds an answer may take in one check that does not say otherwise",
    )
    group.addoption(
        "--fresh",
        action="store_true",
        help="try every answer again, even those that have not changed since an earlier run",
    )
    group.addoption(
        "--in-process",
        action="store_true",
        help="run the answers in pytest's own process: a crash or an endless call into C then ends the whole run",
    )


def place_of(course: Course, against: str, start: Path) -> Path:
    """The folder or file that `--against` means."""
    if against in ("exercises", "solutions"):
        return course.root / against
    place = (start / against).resolve()
    names = [hour.file_name for hour in course.hours]
    if not place.exists():
        raise pytest.UsageError(f"--against {against}: there is no such folder or file")
    if place.is_file() and place.name not in names:
        raise pytest.UsageError(f"--against {against}: a file of answers is called {' or '.join(names)}")
    if place.is_dir() and not any((place / name).exists() for name in names):
        raise pytest.UsageError(f"--against {against}: the folder holds none of {', '.join(names)}")
    return place


def checks_for(course: Course, argument: str, start: Path) -> str:
    """Whoever asks for `exercises/hour1_attention.py` means the checks of it."""
    path = (start / argument).resolve()
    if path == course.root / "exercises":
        return str(course.root / "checks")
    if path.parent == course.root / "exercises" and path.name in {hour.file_name for hour in course.hours}:
        return str(course.root / "checks" / f"test_{path.name}")
    return argument


def refuse_a_misspelt_keyword(config: pytest.Config, course: Course, items: list[pytest.Item]) -> None:
    """`-k sofmax` matches nothing; who types it learns which exercise is nearest, not that 55 were deselected."""
    keyword = config.getoption("keyword")
    if not keyword.isidentifier() or keyword in ("not", "and", "or"):
        return
    names = {name.lower() for item in items for name in (item.nodeid, *item.extra_keyword_matches, *item.keywords)}
    if any(keyword.lower() in name for name in names):
        return
    try:
        course.exercise(keyword)
    except KeyError as error:
        raise pytest.UsageError(f"-k {keyword} matches no check: {error.args[0]}") from None


def wanted(config: pytest.Config, course: Course) -> Callable[[Exercise], bool]:
    """Which exercises the options ask for."""
    hours, names = config.getoption("--hour") or [], config.getoption("--exercise") or []
    keyword = config.getoption("keyword")
    if keyword in {exercise.name for exercise in course.exercises}:
        names = [*names, keyword]  # by its full name an exercise means itself, not every check that speaks of it
    core, stretch = config.getoption("--core"), config.getoption("--stretch")
    if strange := sorted(set(hours) - {hour.number for hour in course.hours}):
        have = ", ".join(str(hour.number) for hour in course.hours)
        raise pytest.UsageError(f"there is no hour {strange[0]}; there are {have}")
    for name in names:
        try:
            course.exercise(name)
        except KeyError as error:
            raise pytest.UsageError(error.args[0]) from None

    def chosen(exercise: Exercise) -> bool:
        return (
            (not hours or exercise.hour in hours)
            and (not names or exercise.name in names)
            and (core == stretch or exercise.stretch == stretch)
        )

    return chosen
