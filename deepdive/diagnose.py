"""Which known mistake gives exactly this wrong answer?

`checks/mistakes/` holds wrong answers that people really give, as runnable code:

    @mistake(of="scaled_dot_product_attention")
    def forgot_to_scale(q, k, v, mask=None):
        '''The scores were not divided by √d_k, so the softmax saturates.'''

When a check fails, each of its exercise's mistakes is called with the very arguments the learner's function
was called with. One is named only if it gave what the learner's function gave in every one of those calls, if
that differs from the right answer in at least one of them, and if no other mistake did as well. What is no
plain value, a model say, is compared by what functions of `checks/given/` found in it. Nothing here changes a
verdict.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from itertools import takewhile
from time import monotonic
from types import ModuleType
from typing import Any

from deepdive.answers import Answer, Call, is_safe_to_repeat
from deepdive.course import LONG_SECONDS, Course, Exercise
from deepdive.difference import Tolerance, find
from deepdive.limits import TimeIsUp, time_limit
from deepdive.transcript import CannotReplay, Replay
from deepdive.values import is_array

# All of diagnosis, for a learner waits for it: under a second, or as long as every mistake needs that takes no longer
# than the answer did.
MAX_SECONDS = 0.8
MOST_SECONDS = 10.0

# Two implementations of one formula differ by rounding; two formulas differ by far more. float32 arithmetic over
# the largest probes agrees to about 1e-5 (six layers of MiniLM: 2e-6), so 1e-4 is tenfold above the noise.
SAME = Tolerance(atol=1e-6, rtol=1e-4)


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer: whose it is, what it is called, and the sentence that names it."""

    of: str
    name: str
    sentence: str
    function: Callable[..., Any]


def mistake(*, of: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function of `checks/mistakes/` a known wrong answer to an exercise.

    Args:
        of: the exercise's name. The function has its signature; its docstring is what the learner reads.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        sentence = " ".join((function.__doc__ or "").split())
        if not sentence:
            raise ValueError(f"the mistake {function.__name__} of {of} has no docstring to name it by")
        function.__mistake__ = Mistake(of, function.__name__, sentence, function)  # type: ignore[attr-defined]
        return function

    return declare


def mistakes_in(module: ModuleType) -> list[Mistake]:
    """The mistakes that a module declares, in its order."""
    return [value.__mistake__ for value in vars(module).values() if hasattr(value, "__mistake__")]


def known_mistakes(course: Course, exercise: Exercise) -> list[Mistake]:
    """The known mistakes of one exercise."""
    name = course.hour(exercise.hour).file_name.removesuffix(".py")
    if not (course.root / "checks" / "mistakes" / f"{name}.py").exists():
        return []
    return [m for m in mistakes_in(course_module(course, f"checks.mistakes.{name}")) if m.of == exercise.name]


def right_answer(course: Course, exercise: Exercise) -> Callable[..., Any]:
    """The reference function of one exercise."""
    name = course.hour(exercise.hour).file_name.removesuffix(".py")
    function: Callable[..., Any] = getattr(course_module(course, f"solutions.{name}"), exercise.name)
    return function


def course_module(course: Course, name: str) -> ModuleType:
    """Import one of the course's own modules, by its dotted name below the root.

    A process may read several courses, one after the other, whose modules have the same names.
    """
    root = course.root.absolute()
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = import_module(name)
    if module.__file__ != str(root.joinpath(*name.split(".")).with_suffix(".py")):  # of the course read before
        sys.path.remove(str(root))
        sys.path.insert(0, str(root))
        del sys.modules[name]
        module = import_module(name)
    return module


def name_mistake(course: Course, answer: Answer) -> Mistake | None:
    """The one known mistake that gives what `answer` gave in every recorded call; None when there is no such one.

    Args:
        course: the course.
        answer: an answer some check has failed, with the calls the check made.
    """
    events = list(takewhile(is_safe_to_repeat, answer.events)) if answer.jailed else answer.events
    if answer.seconds >= LONG_SECONDS or not all(map(_comparable, answer.events)) or not answer.calls:
        return None
    known, reference = known_mistakes(course, answer.exercise), right_answer(course, answer.exercise)
    try:
        each = sum(event.seconds for event in events)
        # The alarm is the last resort: whatever it rings in, a library that loads a model say, is left half done.
        with unheard(), time_limit(3 * _budget(known, each)):
            began = monotonic()
            right = Replayed(reference, events)
            if all(_agrees(event, right[index], right[index]) for index, event in enumerate(events)):
                return None
            until = monotonic() + _budget(known, max(each, monotonic() - began))
            fitting = []
            for one in known:
                if monotonic() > until:
                    return None
                fitting += [one] if _explains(one, events, right) else []
    except (TimeIsUp, CannotReplay):
        return None
    return fitting[0] if len(fitting) == 1 else None


@contextmanager
def unheard() -> Iterator[None]:
    """Let what known answers print in the block, their progress bars and warnings included, disturb nobody."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _budget(known: Sequence[Mistake], each: float) -> float:
    """Seconds for trying all mistakes, of which one takes about `each`."""
    return max(MAX_SECONDS, min(2 * len(known) * each, MOST_SECONDS))


def _explains(mistake: Mistake, events: Sequence[Call], right: Replayed) -> bool:
    again = Replayed(mistake.function, events)
    return all(_agrees(event, again[index], right[index]) for index, event in enumerate(events))


def _comparable(call: Call) -> bool:
    return not isinstance(call.raised, TimeIsUp | NotImplementedError)


class Replayed:
    """A record replayed with another function in the answer's place, as far as it is asked for."""

    def __init__(self, function: Callable[..., Any], events: Sequence[Call], *, jailed: bool = False) -> None:
        self._events, self._done = events, list[Call]()
        self._replay = Replay(function, jailed=jailed)

    def __getitem__(self, index: int) -> Call:
        while len(self._done) <= index:
            self._done.append(self._replay.run(self._events[len(self._done)]))
        return self._done[index]


def _agrees(mine: Call, theirs: Call, right: Call) -> bool:
    """Did two functions do the same in a call? Where the right one raises too, the words of the message are free."""
    if mine.raised is not None or theirs.raised is not None:
        same_words = right.raised is not None or str(mine.raised) == str(theirs.raised)
        # By name: what was raised in a jail is raised here again by a class of its own.
        return type(mine.raised).__name__ == type(theirs.raised).__name__ and same_words
    if bool(mine.changed) != bool(theirs.changed):
        return False
    if dtypes(mine.returned) != dtypes(theirs.returned):
        return False
    return find(theirs.returned, mine.returned, SAME) is None


def dtypes(value: Any) -> Any:
    """The dtypes of the arrays in a value, nested as they are."""
    if is_array(value):
        return str(value.dtype).removeprefix("torch.")  # bfloat16 is none of NumPy's
    if isinstance(value, list | tuple):
        return [dtypes(item) for item in value]
    if isinstance(value, dict):
        return {key: dtypes(item) for key, item in value.items()}
    return None
