"""Gradescope: a `results.json` for each student, one test an exercise, as its autograder harness reads it.

The score at the top is the one after the policy and overrides the sum of the tests, which keep the points that the
checks gave. Every text is marked as plain, so that nothing in it is rendered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepdive.course import Course
from deepdive.grading.export.text import file_names, json_text
from deepdive.grading.export.told import Told, messages, summary, told
from deepdive.grading.marks import Mark


def files(course: Course, marks: Sequence[Mark]) -> dict[str, str]:
    """`NAME/results.json` for each student."""
    names = file_names([mark.student.id for mark in marks])
    return {f"{name}/results.json": json_text(results(course, m)) for name, m in zip(names, marks, strict=True)}


def results(course: Course, mark: Mark) -> dict[str, Any]:
    """One student's results, as plain data."""
    exercises = told(course, mark.record)
    return {
        "score": round(mark.final, 2),
        "execution_time": round(sum(one.seconds for one in exercises), 3),  # seconds
        "output": summary(mark),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"kit": mark.record.kit, "points_before_policy": mark.raw, "points_possible": mark.possible},
        "tests": [_test(one) for one in exercises],
    }


def _test(one: Told) -> dict[str, Any]:
    return {
        "name": f"{one.exercise.name} · {one.outcome.state}",
        "name_format": "text",
        "number": f"{one.exercise.hour}.{one.place}",
        "score": one.outcome.earned,
        "max_score": one.outcome.possible,
        "status": "passed" if one.fine else "failed",
        "output": messages(one),
        "output_format": "text",
        "tags": [f"hour {one.exercise.hour}", *(["stretch"] if one.exercise.stretch else [])],
        "visibility": "visible",
    }
