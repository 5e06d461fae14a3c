"""Verdicts: the one record that every reader and writer of results shares.

A *verdict* says how one check ended. An *outcome* is what an exercise's verdicts come to: its state and
its points. An exercise earns its points when all of its checks pass, and none before: a function that
raises ValueError at everything would otherwise be paid for refusing bad input.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from deepdive import __version__
from deepdive.course import Course, Exercise
from deepdive.grids import Comparison

SCHEMA_VERSION = 1


class State(StrEnum):
    """How a check, or an exercise, ended."""

    TODO = "todo"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"
    KIT_ERROR = "kit error"
    NOT_RUN = "not run"


# What an exercise is when its checks ended in different ways: the first of these that any of them has.
_GRAVEST_FIRST = (
    State.CRASHED,
    State.TIMEOUT,
    State.ERROR,
    State.FAILED,
    State.KIT_ERROR,
    State.TODO,
    State.NOT_RUN,
    State.PASSED,
    State.INCONCLUSIVE,
    State.NOT_APPLICABLE,
)

# A check that could not be decided, for a reason that is not the answer's, never costs points.
HELD_AGAINST_NOBODY = frozenset({State.PASSED, State.INCONCLUSIVE, State.NOT_APPLICABLE})

WRONG = frozenset({State.FAILED, State.ERROR, State.TIMEOUT, State.CRASHED})


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How one check ended, with everything a person is told about it.

    Args:
        hour: 1 to 6.
        exercise: the function's name.
        check: the check function's name, unique within its hour.
        state: how it ended.
        called: the last call as `name(parameter: type[shape], …)`.
        expected: what should have come back, described.
        got: what did come back, described; with how and where it differs.
        likely: what probably went wrong, in one sentence; empty when nobody can say.
        mistake: the name of the known mistake that gives exactly this answer, if one does.
        frames: the learner's own frames when the code raised, as traceback prints them.
        output: what the answer printed, capped.
        file: the file that could not be loaded, when that is why; `got` then says what is wrong with it.
        seconds: wall-clock time of the check.
        arrays: the two arrays that differ, small enough to draw; in a graded run only of a check that draws no
            random inputs, for those are nobody's to see.
    """

    hour: int
    exercise: str
    check: str
    state: State
    called: str = ""
    expected: str = ""
    got: str = ""
    likely: str = ""
    mistake: str | None = None
    frames: str = ""
    output: str = ""
    file: str = ""
    seconds: float = 0.0
    arrays: Comparison | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the verdicts on one exercise come to."""

    hour: int
    exercise: str
    state: State
    earned: int
    possible: int
    passed_checks: int
    checks: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run, as `--deepdive-json` writes it."""

    version: int = SCHEMA_VERSION
    kit: str
    python: str
    against: str
    seed: int
    assets: dict[str, Any]
    earned: int
    possible: int
    outcomes: list[Outcome]
    verdicts: list[Verdict]


def outcome_of(exercise: Exercise, verdicts: Iterable[Verdict]) -> Outcome:
    """Add up an exercise's verdicts; checks that have none count as not run."""
    states = {check.name: State.NOT_RUN for check in exercise.checks}
    states |= {v.check: v.state for v in verdicts if v.exercise == exercise.name and v.check in states}
    state = next(s for s in _GRAVEST_FIRST if s in states.values())
    settled = all(s in HELD_AGAINST_NOBODY for s in states.values())
    return Outcome(
        hour=exercise.hour,
        exercise=exercise.name,
        state=state,
        earned=exercise.points if settled and state is State.PASSED else 0,
        possible=exercise.points,
        passed_checks=sum(s is State.PASSED for s in states.values()),
        checks=len(states),
    )


def outcomes_of(course: Course, verdicts: Iterable[Verdict]) -> list[Outcome]:
    """The outcome of every exercise of the course, in its order; the denominator is always the course's."""
    by_exercise: dict[tuple[int, str], list[Verdict]] = {}
    for verdict in verdicts:
        by_exercise.setdefault((verdict.hour, verdict.exercise), []).append(verdict)
    return [outcome_of(e, by_exercise.get((e.hour, e.name), [])) for e in course.exercises]


def in_course_order(course: Course, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Verdicts as the course has its checks, in whatever order they came in."""
    checks = (
        (exercise.hour, exercise.name, check.name) for exercise in course.exercises for check in exercise.checks
    )
    place = {check: index for index, check in enumerate(checks)}
    return sorted(verdicts, key=lambda v: place.get((v.hour, v.exercise, v.check), -1))


def record_of(
    course: Course,
    verdicts: list[Verdict],
    against: str,
    seed: int,
    assets: dict[str, Any],
    outcomes: list[Outcome] | None = None,
) -> Record:
    """The record of a run; exercises that did not run are in it, for the denominator is always the course's.

    Args:
        course: the course.
        verdicts: all that there are.
        against: whose answers they are on.
        seed: of the random inputs.
        assets: what gave the results their weights and texts.
        outcomes: what the verdicts come to, if that is known; added up here when None.
    """
    outcomes = outcomes_of(course, verdicts) if outcomes is None else outcomes
    return Record(
        kit=__version__,
        python=platform.python_version(),
        against=against,
        seed=seed,
        assets=assets,
        earned=sum(o.earned for o in outcomes),
        possible=sum(o.possible for o in outcomes),
        outcomes=outcomes,
        verdicts=verdicts,
    )


def write_record(record: Record, path: Path) -> None:
    """Write `record` as indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_record(path: Path) -> Record:
    """Read what `write_record` wrote.

    Raises:
        msgspec.ValidationError: the file is JSON, but no such record.
    """
    return msgspec.json.decode(path.read_bytes(), type=Record)
