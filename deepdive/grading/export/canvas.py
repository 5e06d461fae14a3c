"""Canvas: a CSV for its gradebook's import.

What its importer does with a file decides what this one looks like. It finds a student by `ID` first, Canvas's own
number, of which it reads the digits at the beginning and ignores the rest; then by the two SIS columns; then by name.
It takes any row whose first cell holds "Points Possible" for that of the points, so no student may be called that;
and it leaves out, without a word, a column whose title holds "Final Score" or one of its other own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from deepdive.course import Course
from deepdive.grading.export.text import ExportError, csv_text, number, visible
from deepdive.grading.export.told import by_hour
from deepdive.grading.marks import Mark

TOTAL = "total"
_STUDENT = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
_OWN_WORDS = re.compile(r"(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)")
_NUMBER = re.compile(r"[0-9]{1,18}")


def files(
    course: Course,
    marks: Sequence[Mark],
    *,
    assignments: Mapping[str, str] | None = None,
    ids: Literal["canvas", "sis"] = "canvas",
) -> dict[str, str]:
    """`canvas.csv`.

    Args:
        assignments: the title of an assignment by what its points are, `total` or `hour 1`. A title with Canvas's
            number, `Attention (4711)`, is that assignment; any other one that Canvas does not know becomes a new one.
        ids: what the students' ids are, Canvas's numbers or those of the student information system.

    Raises:
        ExportError: a title that Canvas would overlook, or marks that are not out of the same number of points.
    """
    titles = assignments if assignments is not None else {TOTAL: "deepdive (points)"}
    _check(course, titles)
    possible = {mark.possible for mark in marks} or {float(sum(e.points for e in course.exercises))}
    if len(possible) > 1:
        several = ", ".join(map(number, sorted(possible)))
        raise ExportError(f"an assignment of Canvas has one number of points; these marks are out of {several}")
    whole = next(iter(possible))
    hours = by_hour(marks[0]) if marks else {}
    worth = [whole if what == TOTAL else hours.get(_hour(what), (0.0, 0.0))[1] for what in titles]
    rows: list[list[str | float]] = [
        [*_STUDENT, *titles.values()],
        ["    Points Possible", "", "", "", "", *map(float, worth)],
    ]
    rows += [[*_identity(mark, ids), *_points(mark, titles)] for mark in marks]
    return {"canvas.csv": csv_text(rows)}


def _check(course: Course, titles: Mapping[str, str]) -> None:
    known = [TOTAL, *(f"hour {hour.number}" for hour in course.hours)]
    for what, title in titles.items():
        if what not in known:
            raise ExportError(f"there are no points of {what!r}; there are {', '.join(known)}")
        if not title.strip() or not title.isprintable() or title in _STUDENT:
            raise ExportError(f"{visible(title)!r} is no title for an assignment of Canvas")
        if word := _OWN_WORDS.search(title):
            raise ExportError(
                f"Canvas overlooks a column called {title!r}, because of {word[0]!r}: choose another title"
            )
    if len(set(titles.values())) < len(titles):
        raise ExportError(f"two assignments have the same title: {', '.join(titles.values())}")


def _identity(mark: Mark, ids: str) -> list[str]:
    student = mark.student
    own = student.id if ids == "canvas" and _NUMBER.fullmatch(student.id) else ""
    sis = student.id if ids == "sis" else ""
    login = student.login or student.email or ("" if own or sis else student.id)
    name = re.sub(r"(?i)points\s+possible", "Points-Possible", student.name or student.id)
    return [name, own, sis, login, student.section]


def _points(mark: Mark, titles: Mapping[str, str]) -> list[float]:
    hours = by_hour(mark)
    return [float(mark.final if what == TOTAL else hours.get(_hour(what), (0.0, 0.0))[0]) for what in titles]


def _hour(what: str) -> int:
    return int(what.removeprefix("hour "))
