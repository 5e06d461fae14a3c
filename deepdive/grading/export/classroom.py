"""GitHub Classroom: what its grading reporter reads from a step's `result`, base64 of JSON, for each student.

The reporter adds up the scores of the tests. So what the policy changed is a test of its own: the others keep the
points that the checks gave. It hands the result on in an environment variable, and Linux allows 128 KiB for one.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from deepdive.course import Course
from deepdive.grading.export.text import clean, file_names, json_text
from deepdive.grading.export.told import Told, messages, told
from deepdive.grading.marks import Mark
from deepdive.verdict import State

MAX_BYTES = 120_000  # of base64; the variable's name and an end are in the 131,072, too
_MESSAGE = 8_000  # characters of an exercise's message, and less where all of them do not fit


def files(course: Course, marks: Sequence[Mark]) -> dict[str, str]:
    """`NAME/result.txt`, the step's output, and `NAME/notice.json`, the reporter's notice, for each student."""
    found = {}
    for name, mark in zip(file_names([mark.student.id for mark in marks]), marks, strict=True):
        found[f"{name}/result.txt"] = encoded(course, mark)
        found[f"{name}/notice.json"] = json_text({"totalPoints": round(mark.final, 2), "maxPoints": mark.possible})
    return found


def encoded(course: Course, mark: Mark) -> str:
    """One student's result, base64, in at most MAX_BYTES."""
    text, most = "", _MESSAGE
    while most:
        plain = json.dumps(clean(result(course, mark, most)), ensure_ascii=False, allow_nan=False)
        text = b64encode(plain.encode()).decode()
        if len(text) <= MAX_BYTES:
            break
        most //= 2
    return text


def result(course: Course, mark: Mark, most: int = _MESSAGE) -> dict[str, Any]:
    """One student's result as plain data; each message has at most `most` characters."""
    exercises = told(course, mark.record)
    files = {hour.number: hour.file_name for hour in course.hours}
    tests = [_test(one, files, most) for one in exercises]
    if difference := round(mark.final - mark.raw, 2):
        tests.append(_policy(mark, difference, most))
    unloaded = exercises and all(one.outcome.state is State.ERROR for one in exercises)
    return {
        "version": 1,
        "status": "error" if unloaded else "pass" if all(one.fine for one in exercises) else "fail",
        "max_score": mark.possible,
        "tests": tests,
    }


def _test(one: Told, files: dict[int, str], most: int) -> dict[str, Any]:
    broken = one.outcome.state in (State.ERROR, State.TIMEOUT, State.CRASHED, State.KIT_ERROR)
    return {
        "name": one.exercise.name,
        "status": "pass" if one.fine else "error" if broken else "fail",
        "score": one.outcome.earned,
        "message": messages(one, most=most),
        "test_code": one.exercise.signature,
        "task_id": one.exercise.hour,
        "filename": files.get(one.exercise.hour, ""),
        "line_no": 0,
        "duration": round(one.seconds, 3),  # seconds
    }


def _policy(mark: Mark, difference: float, most: int) -> dict[str, Any]:
    return {
        "name": "policy",
        "status": "pass" if difference > 0 else "fail",
        "score": difference,
        "message": mark.policy[:most],
        "test_code": "",
        "task_id": 0,
        "filename": "",
        "line_no": 0,
        "duration": 0,
    }
