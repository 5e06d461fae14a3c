"""JUnit XML for each student, as pytest writes it: a suite an hour, a test case a check.

`failure` is a wrong answer; `error` is one that raised, took too long or took its process down, and a check that
broke; `skipped` is what was not decided, the exercises still to do among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from deepdive.course import Course
from deepdive.grading.export.text import file_names, number, visible
from deepdive.grading.export.told import MEANS, Told, told
from deepdive.grading.marks import Mark
from deepdive.report.block import block, file_block
from deepdive.verdict import State, Verdict

_ERRORS = {State.ERROR, State.TIMEOUT, State.CRASHED, State.KIT_ERROR}
_TAG = {State.PASSED: "", State.FAILED: "failure"} | dict.fromkeys(_ERRORS, "error")


def files(course: Course, marks: Sequence[Mark]) -> dict[str, str]:
    """`NAME.xml` for each student."""
    names = file_names([mark.student.id for mark in marks])
    return {f"{name}.xml": xml(course, mark) for name, mark in zip(names, marks, strict=True)}


def xml(course: Course, mark: Mark) -> str:
    """One student's report."""
    root = ET.Element("testsuites", name=visible(mark.student.id))
    exercises = told(course, mark.record)
    files = {hour.number: hour.file_name.removesuffix(".py") for hour in course.hours}
    for hour in sorted({one.outcome.hour for one in exercises}):
        pairs = [(one, v) for one in exercises if one.outcome.hour == hour for v in one.verdicts]
        _suite(root, files.get(hour, f"hour{hour}"), mark, pairs)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, name: str, mark: Mark, pairs: Sequence[tuple[Told, Verdict]]) -> None:
    tags = [_TAG.get(verdict.state, "skipped") for _, verdict in pairs]
    suite = ET.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(pairs)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{sum(verdict.seconds for _, verdict in pairs):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("points", mark.final),
        ("points before policy", mark.raw),
        ("points possible", mark.possible),
    ):
        ET.SubElement(properties, "property", name=key, value=number(value))
    for (one, verdict), tag in zip(pairs, tags, strict=True):
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"{name}.{one.exercise.name}",
            name=verdict.check,
            time=f"{verdict.seconds:.3f}",
        )
        if tag == "skipped":
            ET.SubElement(case, tag, message=f"{verdict.state}: {MEANS[verdict.state]}")
        elif tag:
            found = ET.SubElement(case, tag, message=verdict.likely or verdict.got or str(verdict.state))
            found.text = file_block(verdict) if verdict.file else block(verdict, one.exercise)
        if verdict.output:
            ET.SubElement(case, "system-out").text = verdict.output
