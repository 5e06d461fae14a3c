"""Which exercises an answer calls that are wrong themselves: whoever calls one had better mend that first."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from deepdive.answer_files import AnswerFiles
from deepdive.course import Course
from deepdive.kept import Kept
from deepdive.source import function_in, names_in
from deepdive.verdict import WRONG, State, Verdict


def with_callees(course: Course, files: AnswerFiles, kept: Kept, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Verdicts of which nobody could say what is likely wrong, and which call what is known to be wrong, say so.

    Args:
        course: the course.
        files: where the answers are.
        kept: what earlier runs and this one have found.
        verdicts: to be shown.
    """
    return [
        replace(verdict, likely=_advice(course, files, kept, verdict))
        if verdict.state is State.FAILED and not verdict.likely
        else verdict
        for verdict in verdicts
    ]


def _advice(course: Course, files: AnswerFiles, kept: Kept, verdict: Verdict) -> str:
    wrong = [name for name in _called(course, files, verdict.exercise) if _is_wrong(course, files, kept, name)]
    if not wrong:
        return ""
    names = " and ".join(filter(None, (", ".join(wrong[:-1]), wrong[-1])))
    them = "that" if len(wrong) == 1 else "those"
    return f"It calls your {names}, which {'is' if len(wrong) == 1 else 'are'} not right yet: mend {them} first."


def _called(course: Course, files: AnswerFiles, name: str) -> list[str]:
    """The other exercises that an answer names, in its order."""
    exercise = course.exercise(name)
    tree = files.tree(exercise)
    found = function_in(tree, name) if tree else None
    if found is None:
        return []
    others = {each.name for each in course.exercises} - {name}
    return [each for each in names_in(found) if each in others]


def _is_wrong(course: Course, files: AnswerFiles, kept: Kept, name: str) -> bool:
    exercise = course.exercise(name)
    for check in exercise.checks:
        keys = kept.keys(exercise, check.name, files.path(exercise))
        verdict = kept.find(keys) if keys else None
        if verdict is not None and verdict.state in WRONG:
            return True
    return False
