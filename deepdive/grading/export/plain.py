"""Plain CSV, for spreadsheets and statistics: a row a student in one file, a row a check in the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from deepdive.course import Course
from deepdive.grading.export.text import csv_text
from deepdive.grading.marks import Mark

_STUDENT = ["id", "name", "email", "login", "section", "submission", "submitted (ISO 8601)"]
_POINTS = ["attempt (number)", "attempts (count)", "raw (points)", "possible (points)", "final (points)", "policy"]
_RUN = ["not taken", "jail", "kit (version)", "seed (number)"]
_CHECK = ["id", "hour (number)", "exercise", "check", "state", "time (ms)", "mistake", "likely", "got"]


def files(course: Course, marks: Sequence[Mark]) -> dict[str, str]:
    """`marks.csv` and `verdicts.csv`."""
    exercises = list(dict.fromkeys((o.hour, o.exercise) for mark in marks for o in mark.record.outcomes))
    titles = [f"hour {hour} {name} (points)" for hour, name in exercises]
    of_students = [_mark(mark, exercises) for mark in marks]
    of_checks: list[list[str | float]] = [row for mark in marks for row in _verdicts(mark)]
    return {
        "marks.csv": csv_text([[*_STUDENT, *_POINTS, *_RUN, *titles], *of_students]),
        "verdicts.csv": csv_text([_CHECK, *of_checks]),
    }


def _mark(mark: Mark, exercises: Sequence[tuple[int, str]]) -> list[str | float]:
    student = mark.student
    earned = {(o.hour, o.exercise): o.earned for o in mark.record.outcomes}
    return [
        *(student.id, student.name, student.email, student.login, student.section),
        *(mark.submission, _time(mark.submitted), mark.attempt, mark.attempts),
        *(float(mark.raw), float(mark.possible), float(mark.final), mark.policy),
        *("; ".join(mark.refused), mark.tier, mark.record.kit, mark.record.seed),
        *(earned.get(exercise, "") for exercise in exercises),
    ]


def _verdicts(mark: Mark) -> list[list[str | float]]:
    return [
        [
            *(mark.student.id, v.hour, v.exercise, v.check, str(v.state), round(v.seconds * 1000)),
            *(v.mistake or "", v.likely, v.got),
        ]
        for v in mark.record.verdicts
    ]


def _time(when: datetime | None) -> str:
    return when.isoformat(timespec="seconds") if when else ""
