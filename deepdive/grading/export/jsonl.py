"""JSON lines: everything that is known of a mark, a line a student, for programs.

`record` is what `pytest --deepdive-json` writes; its times are seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from deepdive.course import Course
from deepdive.grading.export.text import clean
from deepdive.grading.marks import Mark

VERSION = 1


def files(course: Course, marks: Sequence[Mark]) -> dict[str, str]:
    """`marks.jsonl`."""
    lines = [json.dumps(clean(line(mark)), ensure_ascii=False, allow_nan=False) + "\n" for mark in marks]
    return {"marks.jsonl": "".join(lines)}


def line(mark: Mark) -> dict[str, Any]:
    """One mark as plain data."""
    fields: dict[str, Any] = msgspec.to_builtins(mark)
    return {"version": VERSION} | {
        {"raw": "raw_points", "possible": "possible_points", "final": "final_points"}.get(name, name): value
        for name, value in fields.items()
    }
