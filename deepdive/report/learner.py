"""The learner's own page: all hours, what is next, what is wrong, in pictures, and what their own functions draw.

Verdicts are those that earlier runs have kept. Of the learner's functions only those run that are known to be right,
to draw what they make.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup

from deepdive.assets import AssetError, describe
from deepdive.bench.standing import answers_of, kept_of, verdicts_of
from deepdive.callees import with_callees
from deepdive.course import Course
from deepdive.grading.export.told import told
from deepdive.pictures.gallery import DRAWN_BY, CannotShow, Functions, draw
from deepdive.pictures.svg import Picture
from deepdive.report.board import board_of
from deepdive.report.pages import TEMPLATES, failures_of, hour_rows, stand_ins_of
from deepdive.verdict import Outcome, State, record_of

TEMPLATES.filters["svg"] = lambda picture: Markup(picture.svg())


def learner_page(course: Course, now: datetime) -> str:
    """One page of a learner's hours, as HTML that needs nothing else.

    Args:
        course: the course, in whose `exercises/` the answers are.
        now: when, for the page to say.
    """
    verdicts = with_callees(course, answers_of(course), kept_of(course), verdicts_of(course))
    record = record_of(course, verdicts, "exercises", 0, describe())
    exercises = told(course, record)
    states = {one.outcome.state for one in exercises} | {v.state for one in exercises for v in one.verdicts}
    return TEMPLATES.get_template("learner.html").render(
        now=now,
        record=record,
        earned=record.earned,
        possible=record.possible,
        hours=hour_rows(course, exercises),
        step=board_of(course, verdicts, answers_of(course), "").step,
        failures=failures_of(exercises),
        drawn=_drawn(course, record.outcomes),
        unknown=sum(outcome.state is State.NOT_RUN for outcome in record.outcomes),
        states=[state for state in State if state in states],
        stand_ins=stand_ins_of(record.assets),
    )


def _drawn(course: Course, outcomes: Sequence[Outcome]) -> list[Picture]:
    """The pictures that the learner's own functions can draw: those of which all are right."""
    right = {outcome.exercise for outcome in outcomes if outcome.earned}
    found: list[Picture] = []
    for name, needed in DRAWN_BY.items():
        if right.issuperset(needed):
            functions = Functions(course, right=right)
            try:
                pictures = draw(functions, name)
            except (AssetError, CannotShow, OSError):
                continue  # the page is about more than pictures
            found += pictures if functions.all_own else []
    return found
