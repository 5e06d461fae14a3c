"""Moodle: a CSV for its grade import; one column says who it is, the others are grade items to choose from.

Moodle's import stops at the first row whose student it cannot find, so every row needs an address or a number, and
no two the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from deepdive.course import Course
from deepdive.grading.export.text import ExportError, csv_text, visible
from deepdive.grading.export.told import by_hour
from deepdive.grading.marks import Mark

_HEADER = {"email": "Email address", "id": "ID number"}


def files(
    course: Course, marks: Sequence[Mark], *, by: Literal["email", "id"] | None = None, item: str = "deepdive"
) -> dict[str, str]:
    """`moodle.csv`: the whole mark, and each hour's share of it when there are several.

    Args:
        by: what Moodle finds students by; None for the address when all have one, else the id number.
        item: what the grade item is called.

    Raises:
        ExportError: somebody has no address, or two have the same.
    """
    by = by or ("email" if all(mark.student.email for mark in marks) else "id")
    who = [mark.student.email if by == "email" else mark.student.id for mark in marks]
    if nameless := [visible(mark.student.id) for mark, one in zip(marks, who, strict=True) if not one]:
        raise ExportError(f"without an email address: {', '.join(nameless[:5])}; add a roster, or export by id")
    if twice := [visible(one) for one, count in Counter(map(str.casefold, who)).items() if count > 1]:
        raise ExportError(f"Moodle cannot tell these apart: {', '.join(twice[:5])}, each in two marks")
    hours = [hour.number for hour in course.hours] if len(course.hours) > 1 else []
    rows: list[list[str | float]] = [
        [_HEADER[by], f"{item} (points)", *(f"{item} hour {hour} (points)" for hour in hours)]
    ]
    for one, mark in zip(who, marks, strict=True):
        shares = by_hour(mark)
        rows.append([one, float(mark.final), *(shares.get(hour, (0.0, 0.0))[0] for hour in hours)])
    return {"moodle.csv": csv_text(rows)}
