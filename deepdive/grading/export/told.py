"""What a student is told of a mark: the exercises with their outcomes and the blocks of what failed.

It is what a run of one's own would show, and no more: neither the seed, with which answers to the next attempt could
be written down in advance, nor what a check that broke says about the machine it broke on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from deepdive.course import Course, Exercise
from deepdive.grading.export.text import capped, number, visible, visible_lines
from deepdive.grading.marks import Mark
from deepdive.report.block import block, file_block
from deepdive.verdict import HELD_AGAINST_NOBODY, WRONG, Outcome, Record, State, Verdict, in_course_order

MEANS = {
    State.TODO: "nothing written yet, or it calls an exercise that is still to do",
    State.PASSED: "right",
    State.FAILED: "an answer came, and it is wrong",
    State.ERROR: "the code raised an error; its own lines are shown",
    State.TIMEOUT: "no answer within the time limit",
    State.CRASHED: "it took its process down",
    State.INCONCLUSIVE: "a speed check on a machine too busy to be sure; costs nothing",
    State.NOT_APPLICABLE: "this machine cannot try it; costs nothing",
    State.KIT_ERROR: "the check itself broke: not the answer's fault",
    State.NOT_RUN: "it was not tried",
}
NOT_THE_ANSWERS_FAULT = "The check itself broke: not your answer's fault. Tell your instructor."
_LINE, _LINES = 2_000, 8_000  # characters of a field of one line, and of several; what honest code gives is shorter


@dataclass(frozen=True)
class Told:
    """One exercise of a mark.

    Args:
        exercise: as the course has it, or as far as the record knows it when the course has dropped it.
        outcome: its state and points.
        verdicts: on its checks, in the course's order, made visible.
        place: from 1, among the hour's exercises.
    """

    exercise: Exercise
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    place: int

    @property
    def failing(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.state in WRONG or v.state is State.KIT_ERROR)

    @property
    def fine(self) -> bool:
        """It earned its points, or was not held against anybody."""
        return self.outcome.state in HELD_AGAINST_NOBODY

    @property
    def seconds(self) -> float:
        return sum(verdict.seconds for verdict in self.verdicts)


def told(course: Course, record: Record) -> list[Told]:
    """A record's exercises, in its own order, which is the course's of the day it was made."""
    known = {(e.hour, e.name): e for e in course.exercises}
    by_exercise: dict[tuple[int, str], list[Verdict]] = {}
    for verdict in in_course_order(course, record.verdicts):
        by_exercise.setdefault((verdict.hour, verdict.exercise), []).append(_shown(verdict))
    places: dict[int, int] = {}
    exercises = []
    for outcome in record.outcomes:
        key = outcome.hour, outcome.exercise
        places[outcome.hour] = places.get(outcome.hour, 0) + 1
        exercise = known.get(key) or _dropped(outcome)
        exercises.append(Told(exercise, outcome, tuple(by_exercise.get(key, ())), places[outcome.hour]))
    return exercises


def messages(one: Told, width: int = 100, most: int = _LINES) -> str:
    """The blocks of an exercise's failing checks, one below the other; in a word what it is when there are none."""
    texts = []
    for verdict in one.failing:
        texts.append(file_block(verdict, width) if verdict.file else block(verdict, one.exercise, width))
        if verdict.file:
            break
    if not texts and one.outcome.state is not State.PASSED:
        texts.append(f"{one.outcome.state}: {MEANS[one.outcome.state]}")
    return capped("\n\n".join(texts), most)


def summary(mark: Mark) -> str:
    """The points, what the policy made of them, and what was not taken, in lines."""
    lines = [f"{number(mark.final)} of {number(mark.possible)} points"]
    if not mark.handed_in:
        lines.append(mark.submission)
    if mark.policy:
        lines.append(f"policy: {mark.policy} The checks gave {number(mark.raw)} points.")
    if mark.attempts > 1:
        lines.append(f"attempt {mark.attempt} of {mark.attempts} counts")
    lines += [f"not taken: {refusal}" for refusal in mark.refused]
    if line := assets(mark):
        lines.append(line)
    return capped(visible_lines("\n".join(lines)), _LINES)


def assets(mark: Mark) -> str:
    """Where the weights and texts came from, as the record has it."""
    return str(mark.record.assets.get("line", ""))


def by_hour(mark: Mark) -> dict[int, tuple[float, float]]:
    """The final points and the possible ones of each hour.

    The policy is about the whole mark: an hour has the share of it that its own points are of all of them, rounded so
    that the hours add up to the mark to the cent.
    """
    hours = sorted({outcome.hour for outcome in mark.record.outcomes})
    possible = [sum(o.possible for o in mark.record.outcomes if o.hour == hour) for hour in hours]
    earned = [sum(o.earned for o in mark.record.outcomes if o.hour == hour) for hour in hours]
    finals = _share(mark.final, earned if any(earned) else possible)
    return dict(zip(hours, zip(finals, _share(mark.possible, possible), strict=True), strict=True))


def _share(total: float, weights: Sequence[float]) -> list[float]:
    whole = sum(weights) or 1
    ends = [round(total * sum(weights[: i + 1]) / whole, 2) for i in range(len(weights))]
    return [round(end - begin, 2) for begin, end in zip([0.0, *ends], ends, strict=False)]


def _shown(verdict: Verdict) -> Verdict:
    """The verdict fit to be printed: every field visible and capped."""
    if verdict.state is State.KIT_ERROR:
        verdict = msgspec.structs.replace(verdict, got="", frames="", output="", likely=NOT_THE_ANSWERS_FAULT)
    one_line = {
        name: capped(visible(" ".join(getattr(verdict, name).splitlines())), _LINE, " … {} characters left out … ")
        for name in ("exercise", "check", "called", "expected", "got", "likely", "file")
    }
    lines = {name: capped(visible_lines(getattr(verdict, name)), _LINES) for name in ("frames", "output")}
    mistake = verdict.mistake and visible(verdict.mistake)
    return msgspec.structs.replace(verdict, mistake=mistake, **one_line, **lines)


def _dropped(outcome: Outcome) -> Exercise:
    return Exercise(
        name=visible(outcome.exercise),
        hour=outcome.hour,
        signature="",
        returns="",
        summary="",
        points=outcome.possible,
        minutes=0,
        stretch=False,
        checks=(),
        hints=(),
    )
