"""Exercism: a `results.json` of its test runners' version 3 for each student, one test a check.

Exercism knows pass, fail and error only. A check that could not be decided, or was not to be tried here, is none of
them and is left out. What an answer printed has at most 500 characters there, a message 65,535 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepdive.course import Course
from deepdive.grading.export.text import capped, file_names, json_text
from deepdive.grading.export.told import MEANS, Told, summary, told
from deepdive.grading.marks import Mark
from deepdive.report.block import block, file_block
from deepdive.verdict import State, Verdict

OUTPUT = 500
MESSAGE = 16_000  # characters, each four bytes at most
_TRUNCATED = "\nOutput was truncated. Please limit to 500 chars"
_STATUS = {
    State.PASSED: "pass",
    State.FAILED: "fail",
    State.TODO: "fail",
    State.ERROR: "error",
    State.TIMEOUT: "error",
    State.CRASHED: "error",
    State.KIT_ERROR: "error",
}


def files(course: Course, marks: Sequence[Mark]) -> dict[str, str]:
    """`NAME/results.json` for each student."""
    names = file_names([mark.student.id for mark in marks])
    return {f"{name}/results.json": json_text(results(course, m)) for name, m in zip(names, marks, strict=True)}


def results(course: Course, mark: Mark) -> dict[str, Any]:
    """One student's results, as plain data."""
    exercises = told(course, mark.record)
    decided = [v for one in exercises for v in one.verdicts if v.state in _STATUS]
    if not decided or all(verdict.file for verdict in decided):
        why = [file_block(v) for v in {v.file: v for v in reversed(decided)}.values()]
        return {"version": 3, "status": "error", "message": capped("\n\n".join(why) or summary(mark), MESSAGE)}
    tests = [_test(one, verdict, task) for task, one in enumerate(exercises, 1) for verdict in one.verdicts]
    tests = [test for test in tests if test["status"]]
    status = "pass" if all(test["status"] == "pass" for test in tests) else "fail"
    return {"version": 3, "status": status, "message": None, "tests": tests}


def _test(one: Told, verdict: Verdict, task: int) -> dict[str, Any]:
    output = verdict.output
    if len(output) > OUTPUT:
        output = output[: OUTPUT - len(_TRUNCATED)] + _TRUNCATED
    return {
        "name": f"{one.exercise.name} · {verdict.check.removeprefix('test_').replace('_', ' ')}",
        "status": _STATUS.get(verdict.state, ""),
        "message": capped(_message(one, verdict), MESSAGE) or None,
        "output": output or None,
        "test_code": verdict.called or one.exercise.signature,
        "task_id": task,
    }


def _message(one: Told, verdict: Verdict) -> str:
    if verdict.file:
        return file_block(verdict)
    if verdict in one.failing:
        return block(verdict, one.exercise)
    return f"{verdict.state}: {MEANS[verdict.state]}" if verdict.state is State.TODO else ""
