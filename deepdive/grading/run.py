"""Grading one submission: every check of every hour it holds, on answers that run in a jail."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from pathlib import Path

from deepdive.answer_files import AnswerFileError
from deepdive.answers import SECONDS_AFTER_TIMEOUT
from deepdive.course import Course, Exercise, Hour
from deepdive.expect import WrongAnswer
from deepdive.grading.intake import Submission
from deepdive.grading.jailed import JailedFile
from deepdive.jail.zygote import Jail, JailError
from deepdive.judge import judge, verdict_on, waits_for_the_quick_ones
from deepdive.proof import CheckFunction, checks_of
from deepdive.verdict import WRONG, State, Verdict

TRIES = 2  # of a check, when it was the jail that failed and not the answer
# Of a speed check that stays undecided, which costs a learner nothing: a busy machine must not give points away.
UNDECIDED_TRIES = 3


def grade(
    course: Course, submission: Submission, jail: Jail, *, seed: int, hours: set[int] | None = None, long: bool = True
) -> list[Verdict]:
    """The verdicts on a submission, in the course's order.

    Args:
        course: the course.
        submission: what was handed in.
        jail: where its code runs.
        seed: of the checks' random inputs.
        hours: only these; all of the course when None.
        long: run the checks that take minutes, too, where the quicker ones of the exercise pass.
    """
    return [
        verdict
        for hour in course.hours
        if hours is None or hour.number in hours
        for verdict in _hour(course, hour, submission, jail, seed, long=long)
    ]


def _hour(
    course: Course, hour: Hour, submission: Submission, jail: Jail, seed: int, *, long: bool
) -> Iterator[Verdict]:
    source = submission.files.get(hour.file_name)
    if source is None:
        return not_handed_in(course, hour)
    return judge_file(course, hour, source, jail, seed=seed, long=long)


def not_handed_in(course: Course, hour: Hour) -> Iterator[Verdict]:
    """The verdicts on an hour whose file is missing."""
    missing = AnswerFileError(f"{hour.file_name} was not handed in", "Hand it in.")
    for exercise in hour.exercises:
        for check in exercise.checks:
            yield verdict_on(course, exercise, check.name, None, missing, path=Path(hour.file_name))


def judge_file(
    course: Course,
    hour: Hour,
    source: bytes,
    jail: Jail,
    *,
    seed: int,
    only: Collection[str] | None = None,
    long: bool = True,
) -> Generator[Verdict, None, None]:
    """The verdicts on one hour's file.

    Args:
        course: the course.
        hour: the hour.
        source: the file's bytes.
        jail: where its code runs.
        seed: of the checks' random inputs.
        only: the checks to run, by their names; all of the hour's when None.
        long: run those that take minutes, too, where the quicker ones of the exercise pass.
    """
    file = JailedFile(jail, hour.number, source, hour.file_name)
    try:
        for exercise in hour.exercises:
            hung = wrong = False
            take_minutes = {check.name for check in exercise.checks if check.long}
            for function, seconds in checks_of(course, exercise, long=long):
                if only is not None and function.__name__ not in only:
                    continue
                if wrong and function.__name__ in take_minutes:
                    yield waits_for_the_quick_ones(exercise, function.__name__)
                    continue
                limit = min(seconds, SECONDS_AFTER_TIMEOUT) if hung else seconds
                verdict = _check(course, exercise, function, file, limit, seed)
                hung = hung or verdict.state is State.TIMEOUT
                wrong = wrong or verdict.state in WRONG
                yield verdict
    finally:
        file.close()


def _check(
    course: Course, exercise: Exercise, check: CheckFunction, file: JailedFile, seconds: float, seed: int
) -> Verdict:
    name, failures, undecided = check.__name__, 0, 0
    while failures < TRIES:
        try:
            answer = file.answer(exercise, seconds)
        except (AnswerFileError, WrongAnswer) as error:
            return verdict_on(course, exercise, name, None, error, path=Path(course.hour(exercise.hour).file_name))
        except JailError as error:
            failure, failures = error, failures + 1
            continue
        verdict = judge(course, exercise, check, answer, seed=seed)
        if isinstance(answer.failure, JailError):
            failure, failures = answer.failure, failures + 1
            continue
        undecided += verdict.state is State.INCONCLUSIVE
        if verdict.state is not State.INCONCLUSIVE or undecided == UNDECIDED_TRIES:
            return verdict
    return Verdict(
        hour=exercise.hour, exercise=exercise.name, check=name, state=State.KIT_ERROR, got=f"no jail: {failure}"
    )
