"""From what happened while a check ran to its verdict."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from deepdive.answer_files import AnswerFileError, AnswerFiles, StillToDo
from deepdive.answers import Answer, AnswerDied, AnswerLeft, Call, parameter_names
from deepdive.course import Course, Exercise
from deepdive.diagnose import Replayed, name_mistake, right_answer, unheard
from deepdive.expect import NotApplicable, Undecided, WrongAnswer
from deepdive.frames import describe_error, frames_of
from deepdive.grids import compare
from deepdive.limits import TimeIsUp, time_limit
from deepdive.supervisor import Lost
from deepdive.values import kind
from deepdive.verdict import State, Verdict

EXPECTED_SECONDS = 0.5  # to find out what a call that raised should have given; a learner waits for it


def rng_for(seed: int, exercise: Exercise, check: str) -> np.random.Generator:
    """The random numbers of one check: its own stream, the same whenever the run's seed is the same."""
    return np.random.default_rng([seed, exercise.hour, *f"{exercise.name}/{check}".encode()])


def judge(
    course: Course,
    exercise: Exercise,
    check: Callable[..., None],
    answer: Answer,
    *,
    seed: int = 0,
    path: Path = Path(),
) -> Verdict:
    """Run one check on one answer, without pytest around it.

    Args:
        course: the course.
        exercise: the exercise.
        check: the check function; asks for its fixtures by name, as under pytest.
        answer: the answer to judge.
        seed: of the run.
        path: the file that holds the answer, to show its frames.
    """
    supplies = {
        "answer": answer,
        "given": answer.given,
        "clean_room": answer.clean_room,
        "rng": rng_for(seed, exercise, check.__name__),
    }
    wanted = inspect.signature(check).parameters
    error: BaseException | None = None
    began = perf_counter()
    try:
        check(**{name: supplies[name] for name in wanted})
    except KeyboardInterrupt:
        raise
    except BaseException as raised:
        error = raised
    seconds = perf_counter() - began
    output = answer.printed if error is not None else ""
    return verdict_on(
        course,
        exercise,
        check.__name__,
        answer,
        error,
        path=path,
        seconds=seconds,
        output=output,
        secret=answer.jailed and "rng" in wanted,
    )


def verdict_on_loss(course: Course, files: AnswerFiles, exercise: Exercise, check: str, lost: Lost) -> Verdict:
    """The verdict on a check whose process did not live to report; a file that could not be loaded is remembered."""
    path = files.path(exercise)
    if lost.loading:
        problem = f"{files.shown(path)} took its process down while it was loaded: {lost.how}"
        advice = f"Look at what {files.shown(path)} does outside of its functions."
        error = AnswerFileError(problem, advice, timed_out=lost.hung, crashed=not lost.hung)
        files.blame(path, error)
        return verdict_on(course, exercise, check, None, error, path=path)
    return Verdict(
        hour=exercise.hour,
        exercise=exercise.name,
        check=check,
        state=State.TIMEOUT if lost.hung else State.CRASHED,
        called=exercise.signature,
        expected=exercise.returns,
        got=lost.how,
        likely="One endless call into compiled code, perhaps `sum(range(10**12))`?" if lost.hung else "",
    )


def verdict_on(
    course: Course,
    exercise: Exercise,
    check: str,
    answer: Answer | None,
    error: BaseException | None,
    *,
    path: Path,
    seconds: float = 0.0,
    output: str = "",
    secret: bool = False,
) -> Verdict:
    """The verdict on a check that ended with `error`, or that ended well.

    Args:
        answer: None when the answer could not even be found.
        error: what the check, or the answer within it, raised.
        path: the learner's file.
        seconds: how long the check took.
        output: what the answer printed.
        secret: whether the inputs are nobody's to see, and so neither are pictures of what should come of them.
    """

    def verdict(state: State, **told: Any) -> Verdict:
        told.setdefault("called", _called(answer, getattr(error, "value", None)) if answer else "")
        return Verdict(
            hour=exercise.hour,
            exercise=exercise.name,
            check=check,
            state=state,
            seconds=seconds,
            output=output,
            **told,
        )

    calls = answer.calls if answer else []
    if error is None:
        if answer is None or not _changes(calls):
            return verdict(State.PASSED, called="")
        return verdict(State.FAILED, **_changed_inputs(course, answer))
    if isinstance(error, AnswerFileError):
        state = State.TIMEOUT if error.timed_out else State.CRASHED if error.crashed else State.ERROR
        return verdict(state, got=error.problem, likely=error.advice, frames=error.frames, file=path.name)
    frames = frames_of(error.__cause__ if isinstance(error, AnswerLeft) and error.__cause__ else error, path)
    if isinstance(error, StillToDo) or (isinstance(error, NotImplementedError) and frames.unimplemented):
        return verdict(State.TODO, called="", likely=_waits_for(course, exercise, frames.function))
    if isinstance(error, Undecided):
        return verdict(State.INCONCLUSIVE, likely=str(error))
    if isinstance(error, NotApplicable):
        return verdict(State.NOT_APPLICABLE, likely=str(error))
    if isinstance(error, TimeIsUp):
        return verdict(
            State.TIMEOUT,
            expected=_expected(course, answer, exercise),
            got=f"no answer within {answer.seconds:g} s" if answer else "no answer within the time limit",
            likely="Is there a loop whose condition never becomes false?" if frames.text else "",
            frames=frames.text,
        )
    if isinstance(error, AnswerDied):
        return verdict(State.CRASHED, expected=exercise.returns, got=str(error))
    if isinstance(error, WrongAnswer):
        told = {"expected": error.expected, "got": error.got + (f"   {error.remark}" if error.remark else "")}
        arrays = compare(*error.arrays) if error.arrays and not secret else None
        return verdict(State.FAILED, **told, **_likely(course, answer, error.likely), arrays=arrays)
    if isinstance(error, AnswerLeft) or (calls and calls[-1].raised is error):
        return verdict(
            State.ERROR,
            expected=_expected(course, answer, exercise),
            got=describe_error(error),
            frames=frames.text,
            **_likely(course, answer, _raised(course, exercise, error, frames.function)),
        )
    return verdict(
        State.KIT_ERROR,
        got=describe_error(error),
        likely="The check itself broke on this answer: the kit's fault, not yours. Please report it.",
    )


def waits_for_the_quick_ones(exercise: Exercise, check: str) -> Verdict:
    """The verdict on a check that takes minutes, as long as quicker ones of its exercise find something wrong."""
    return Verdict(
        hour=exercise.hour,
        exercise=exercise.name,
        check=check,
        state=State.NOT_APPLICABLE,
        likely=f"It takes minutes, and runs when the other checks of {exercise.name} pass.",
    )


def _called(answer: Answer, value: Any) -> str:
    """The call that returned `value`; the last one when the value was computed from several, or nothing returned."""
    if not answer.calls:
        return answer.exercise.signature
    call = next((call for call in reversed(answer.calls) if _returned(call, value)), answer.calls[-1])
    if call.by is not None:
        shown = [answer.exercise.name if part is answer else kind(part) for part in call.args]
        return f"{call.by.__name__}({', '.join(shown)})"
    names = parameter_names(answer.exercise.signature)
    shown = [f"{name}: {kind(value)}" for name, value in zip(names, call.args, strict=False)]
    shown += [f"{name}: {kind(value)}" for name, value in call.kwargs.items()]
    return f"{answer.exercise.name}({', '.join(shown)})"


def _returned(call: Call, value: Any) -> bool:
    parts = call.returned.values() if isinstance(call.returned, dict) else call.returned
    is_part = isinstance(call.returned, tuple | list | dict) and any(part is value for part in parts)
    return value is not None and (call.returned is value or is_part)


def _expected(course: Course, answer: Answer | None, exercise: Exercise) -> str:
    """What the last call should have given, as far as it can be told quickly."""
    if answer is not None and answer.calls:
        with suppress(Exception, TimeIsUp), unheard(), time_limit(EXPECTED_SECONDS):
            last = answer.calls[-1]
            place = next(place for place, event in enumerate(answer.events) if event is last)
            right = Replayed(right_answer(course, exercise), answer.events, jailed=answer.jailed)[place]
            return kind(right.returned) if right.raised is None else describe_error(right.raised)
    return exercise.returns


def _changes(calls: list[Call]) -> list[str]:
    return sorted({name for call in calls for name in call.changed})


def _changed_inputs(course: Course, answer: Answer) -> dict[str, Any]:
    changed = _changes(answer.calls)
    names = " and ".join(changed)
    advice = f"Whoever passed {names} still needs what was in it: work on a copy, {changed[0]}.copy()."
    known = name_mistake(course, answer)
    return {
        "expected": "the right values, and the inputs left as they were",
        "got": f"the right values, but {names} was changed in place",
        "likely": known.sentence if known else advice,
        "mistake": known.name if known else None,
    }


def _likely(course: Course, answer: Answer | None, otherwise: str) -> dict[str, str | None]:
    if answer is not None and (known := name_mistake(course, answer)):
        return {"likely": known.sentence, "mistake": known.name}
    if answer is not None and (names := _changes(answer.calls)):
        return {"likely": f"It changed its input {' and '.join(names)} in place. {otherwise}".strip()}
    return {"likely": otherwise}


def _raised(course: Course, exercise: Exercise, error: BaseException, function: str) -> str:
    if isinstance(error, AnswerLeft):
        return "The function tried to end the whole program; it should return a value."
    if isinstance(error, RecursionError):
        return "The function calls itself without end: what stops it?"
    if isinstance(error, MemoryError):
        return "The function ran out of memory."
    return f"It goes wrong inside your {function}: mend that first." if function in _others(course, exercise) else ""


def _waits_for(course: Course, exercise: Exercise, function: str) -> str:
    """The exercise still to do that this one calls, if that is what it waits for."""
    return f"It calls {function}, which is still to do." if function in _others(course, exercise) else ""


def _others(course: Course, exercise: Exercise) -> set[str]:
    return {other.name for other in course.exercises} - {exercise.name}
