"""Answers: the learner's functions, called with care and with every call recorded."""

from __future__ import annotations

import ast
import inspect
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deepdive import limits
from deepdive.course import Exercise
from deepdive.expect import WrongAnswer
from deepdive.kinds import check_kind
from deepdive.limits import TimeIsUp, time_limit
from deepdive.values import identical, plain, shorten

# Hour 1 answers in milliseconds, but an answer may import torch first: 2 s, and several more from a cold disk.
DEFAULT_SECONDS = 10.0
SECONDS_AFTER_TIMEOUT = 1.0  # an exercise that has hung once in a run is not waited for again


class AnswerDied(Exception):
    """The answer took its process down; the message says how."""


class AnswerLeft(Exception):
    """The answer tried to end the program instead of returning (`sys.exit()`, `pytest.skip()`, …)."""


@dataclass
class Call:
    """One call of the learner's function, with copies of what went in and of what came out.

    Args:
        args: the positional arguments.
        kwargs: the others.
        returned: what came back.
        raised: what was raised instead.
        changed: the arguments that were changed in place.
        by: the function of `checks/given/` that was called, when it was not the learner's.
        seconds: how long it took.
        apart: whether it ran in the clean room.
        theirs: whether it was handed bytes after some had come from where the answer runs: of files it made, perhaps.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    returned: Any = None
    raised: BaseException | None = None
    changed: list[str] = field(default_factory=list)
    by: Callable[..., Any] | None = None
    seconds: float = 0.0
    apart: bool = False
    theirs: bool = False


class Answer:
    """The learner's function, as a check sees it: called like the function itself.

    Args:
        exercise: which exercise it answers.
        function: the function.
        seconds: how long its calls may take, all together.
    """

    jailed = False  # whether it runs in a jail; else the learner's own process is everybody's

    def __init__(self, exercise: Exercise, function: Callable[..., Any], seconds: float = DEFAULT_SECONDS) -> None:
        self.exercise = exercise
        self.events: list[Call] = []
        self.copies: object = None  # of what the answer was given, for those who judge it: deepdive.transcript
        self.copied = 0
        self._function = function
        self._signature = signature_of(function)
        self.seconds = seconds
        self._left = seconds
        self.printed = ""  # by an answer in a jail; what one in this process prints, pytest captures
        self.failure: BaseException | None = None  # what the last call raised
        self._gave_bytes = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the learner's function; record the call; give a plain copy of what it returned.

        Raises:
            WrongAnswer: its signature does not fit, or it returned another kind of thing than the exercise asks.
            AnswerLeft: it tried to end the program.
            TimeIsUp: it took too long.
            Exception: what the function itself raised, as it was.
        """
        call = Call(plain(args), plain(kwargs))
        with self._recorded(call):
            call.returned, call.changed = self._perform(args, kwargs)
        check_kind(call.returned, self.exercise.returns)
        return call.returned

    def timed(self, batch: Batch) -> tuple[float, list[Any]]:
        """Call the learner's function for a batch of arguments: (seconds, results); recorded only if it raises."""
        try:
            seconds, results = self._measure(batch)
            for result in results:
                check_kind(result, self.exercise.returns)
            self._gave_bytes |= _has_bytes(results)
        except BaseException as error:
            self.failure = error
            self.events.append(Call(plain(batch[0]), {}, raised=error))
            raise
        return seconds, results

    @property
    def calls(self) -> list[Call]:
        """The calls of the learner's function, those that a function of `checks/given/` made included."""
        return [event for event in self.events if event.by is None or hands_the_answer(event)]

    def given(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of `checks/given/` where the answer runs.

        It makes what the answer is handed that is not plain data (a model, a Dataset, a folder of files), or looks
        into what the answer returned, or, handed the answer itself, does something with the learner's function. What
        it returns is copied as far as it is plain; objects are to be passed on to `given` or to the answer, and not
        to be looked into.

        Raises:
            WrongAnswer: it could not make anything of what the answer had returned.
            Exception: what it raised, or what the answer raised that it called.
        """
        event = Call(plain(args), plain(kwargs), by=function)
        try:
            with self._recorded(event):
                event.returned = self._give(function, args, kwargs)
        except Exception as error:
            if not hands_the_answer(event) and self._returned_any(args, kwargs):
                got = f"what cannot be used: {shorten(str(error), 160) or type(error).__name__}"
                raise WrongAnswer(self.exercise.returns, got) from error
            raise
        return event.returned

    def clean_room(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of `checks/given/` where none of the learner's code is: to load and measure what it made.

        Args:
            function: gets plain values only, the bytes of files say, as `given` has fetched them.
            args: for it.
            kwargs: for it.

        Raises:
            WrongAnswer: the function raised, or did not survive: what the answer made is of no use.
        """
        event = Call(plain(args), plain(kwargs), by=function, apart=True)
        try:
            with self._recorded(event):
                event.returned = self._apart(function, args, kwargs)
        except Exception as error:
            if isinstance(error, self._kit_failures):
                raise
            got = f"what it made cannot be used: {shorten(str(error), 160) or type(error).__name__}"
            raise WrongAnswer("something that can be loaded and measured", got) from error
        return event.returned

    @contextmanager
    def _recorded(self, event: Call) -> Iterator[None]:
        """Put an event on the record: what it raised, and how long it took."""
        event.theirs = self._gave_bytes and _has_bytes((event.args, event.kwargs))
        self.events.append(event)
        began = time.perf_counter()
        try:
            yield
        except BaseException as error:
            event.raised = self.failure = error
            raise
        finally:
            event.seconds = time.perf_counter() - began
            self._gave_bytes |= _has_bytes(event.returned)

    _kit_failures: tuple[type[Exception], ...] = ()

    def _apart(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A learner's own run trusts itself: the clean room is this process."""
        args, kwargs = plain((args, kwargs))
        return plain(function(*args, **kwargs))

    def _give(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of `checks/given/`, with the learner's own in place of the answer."""
        args, kwargs = plain((args, kwargs))
        return plain(function(*self._handed(args), **self._handed(kwargs)))

    def _handed(self, value: Any) -> Any:
        return replace_answers(value, lambda *args, **kwargs: self._run(args, kwargs))

    def _returned_any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether some of these arguments are what the learner's function returned, or parts of it."""
        returned = {id(part) for call in self.calls for part in parts(call.returned)}
        return any(id(part) in returned for part in parts((args, kwargs)))

    def _perform(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[str]]:
        """Call the function: a plain copy of what it returned, and the names of the arguments it changed in place."""
        self._check_signature(args, kwargs)
        given = plain((args, kwargs))  # the check's own values stay as they are, as they would with a jail between
        returned = plain(self._run(*given))
        return returned, changed_arguments(self.exercise, (args, kwargs), given)

    def _measure(self, batch: Batch) -> tuple[float, list[Any]]:
        """Call the function on copies: wall-clock seconds, and plain copies of what it returned."""
        self._check_signature(batch[0], {})
        copies = plain(batch)
        before = time.perf_counter()
        returned = [self._run(args, {}) for args in copies]
        return time.perf_counter() - before, plain(returned)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        began, process = time.monotonic(), os.getpid()
        try:
            with time_limit(self._left):
                return self._function(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, MemoryError):
                traceback.clear_frames(error.__traceback__)  # what filled the memory hangs on their variables
            if _leaves(error):
                said = f"({error})" if str(error) else "()"
                raise AnswerLeft(f"{type(error).__name__}{said}") from error
            raise
        finally:
            if os.getpid() != process:
                os._exit(0)  # the answer forked, and this is its child: the checks go on in its parent only
            self._left = max(0.05, self._left - (time.monotonic() - began))

    def _check_signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._signature is None:
            return
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise wrong_signature(self.exercise, bare_signature(self._signature), str(error)) from None


def parts(value: Any) -> Iterator[Any]:
    """All that is in a value which has an identity: containers, arrays, texts and objects, but no numbers."""
    if value is None or isinstance(value, bool | int | float):
        return
    yield value
    if isinstance(value, list | tuple):
        for item in value:
            yield from parts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from parts(item)


def hands_the_answer(event: Call) -> bool:
    """Whether the answer itself was among the arguments."""
    return any(isinstance(part, Answer) for part in parts((event.args, event.kwargs)))


def is_safe_to_repeat(event: Call) -> bool:
    """Whether a function of `checks/given/` may be called again outside of a jail with what it was handed.

    Not with files that an answer made: a library that loads them was not written against hostile ones. Bytes that a
    check hands over before it has fetched any are its own.
    """
    return event.by is None or not (event.apart or event.theirs)


def _has_bytes(value: Any) -> bool:
    return any(isinstance(part, bytes) for part in parts(value))


def replace_answers(value: Any, function: Any) -> Any:
    """`value` with `function` in place of every Answer."""
    if isinstance(value, Answer):
        return function
    if isinstance(value, list | tuple):
        return type(value)(replace_answers(item, function) for item in value)
    if isinstance(value, dict):
        return {key: replace_answers(item, function) for key, item in value.items()}
    return value


Batch = list[tuple[Any, ...]]  # the arguments of several calls
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def changed_arguments(exercise: Exercise, before: Arguments, after: Arguments) -> list[str]:
    """The names of the arguments that are no longer what they were."""
    names = parameter_names(exercise.signature)
    positional = [name for name, was, now in zip(names, before[0], after[0], strict=False) if not identical(was, now)]
    return positional + [name for name, now in after[1].items() if not identical(before[1][name], now)]


def wrong_signature(exercise: Exercise, signature: str, complaint: str) -> WrongAnswer:
    """What a function is told whose parameters are not those of the stub."""
    return WrongAnswer(
        exercise.signature,
        f"{exercise.name}{signature}",
        complaint,
        "The parameters have changed: the checks call the function as the stub declared it.",
    )


def _leaves(error: BaseException) -> bool:
    """Whether an exception is meant to end the program, or pytest's run: SystemExit, pytest.exit, pytest.skip."""
    if isinstance(error, KeyboardInterrupt | TimeIsUp) or limits.debugged():
        return False
    return not isinstance(error, Exception) or type(error).__module__ == "_pytest.outcomes"


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def bare_signature(signature: inspect.Signature) -> str:
    """A signature without annotations."""
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def parameter_names(signature: str) -> list[str]:
    """The parameters' names of a signature such as `softmax(x, axis=-1)`."""
    function = ast.parse(f"def {signature}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    return [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
