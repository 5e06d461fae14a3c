"""Where a learner stands, without running anything: from the files as they are and the verdicts kept of them."""

from __future__ import annotations

from dataclasses import replace as replace_field

import msgspec
from msgspec.structs import replace

from deepdive.answer_files import AnswerFiles
from deepdive.answers import DEFAULT_SECONDS
from deepdive.assets import describe
from deepdive.course import Course, Exercise, Hour
from deepdive.kept import Kept, settings_of
from deepdive.report.board import Board, Step, board_of
from deepdive.stubs import changed_stubs
from deepdive.verdict import Record, State, Verdict, outcome_of, record_of


def verdicts_of(course: Course) -> list[Verdict]:
    """What is known of every check: to do, or as the last run of just this answer found it. Others are left out."""
    kept, files = kept_of(course), answers_of(course)
    found = list[Verdict]()
    for exercise in course.exercises:
        stub, path = files.is_stub(exercise), files.path(exercise)
        for check in exercise.checks:
            if stub:
                found.append(Verdict(hour=exercise.hour, exercise=exercise.name, check=check.name, state=State.TODO))
            elif (keys := kept.keys(exercise, check.name, path)) and (verdict := kept.find(keys)):
                found.append(verdict)
    return found


def answers_of(course: Course) -> AnswerFiles:
    """The learner's own files."""
    return AnswerFiles(course, course.root / "exercises")


def kept_of(course: Course) -> Kept:
    """What earlier runs have found of them, with the usual seed and time limit."""
    return Kept(course, settings_of(0, DEFAULT_SECONDS))


def standing(course: Course) -> Board:
    """The board as it is known now."""
    board = board_of(course, verdicts_of(course), answers_of(course), "", changed=changed_stubs(course).lines)
    untried = any(outcome.state is State.NOT_RUN for outcome in board.outcomes)
    if untried and (board.step is None or board.step.doing == "write"):
        step = Step("try", "what has changed since it was tried, or its checks have", "", "", "pytest")
        return replace_field(board, step=step)
    return board


class Standing(msgspec.Struct, frozen=True):
    """The board as data.

    Args:
        record: verdicts and outcomes, as `--deepdive-json` writes them.
        next: what to do next; None when everything passes.
        changed: what a newer kit has changed in stubs.
    """

    record: Record
    next: Step | None
    changed: list[str]


def record(course: Course) -> Standing:
    """The board as it is known now, as data."""
    board = standing(course)
    verdicts = [replace(verdict, arrays=None) for verdict in verdicts_of(course)]  # pictures are most of its bytes
    return Standing(record_of(course, verdicts, "exercises", 0, describe()), board.step, list(board.changed))


def passes(course: Course, exercise: Exercise) -> bool:
    """Whether the answer as it is now was found to be right."""
    return outcome_of(exercise, verdicts_of(course)).earned > 0


def minutes_left(course: Course, hour: Hour) -> int:
    """What the exercises of an hour that do not pass yet take, about."""
    verdicts = verdicts_of(course)
    return sum(e.minutes for e in hour.exercises if not outcome_of(e, verdicts).earned)
