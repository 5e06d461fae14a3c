"""Pages: `class.html` for the instructor and `students/NAME.html` for each student, to be sent or put on a server."""

from __future__ import annotations

from collections.abc import Sequence

from deepdive.course import Course
from deepdive.grading.export.text import file_names
from deepdive.grading.marks import Mark


def files(course: Course, marks: Sequence[Mark]) -> dict[str, str]:
    """`class.html` and `students/NAME.html`."""
    from deepdive.report.pages import class_page, student_page  # it imports this package's modules itself

    paths = [f"students/{name}.html" for name in file_names([mark.student.id for mark in marks])]
    found = {path: student_page(course, mark) for path, mark in zip(paths, marks, strict=True)}
    return {"class.html": class_page(course, marks, paths), **found}
