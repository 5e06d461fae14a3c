"""Answers that run in a jail, and look to a check like those that do not.

A submission's file is loaded in a job of its own, which lives for as many checks as it survives. What it returns is
data; what it raises comes as data and is raised here again; when it hangs or dies, the next check gets a new job.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from deepdive.answer_files import AnswerFileError, no_function
from deepdive.answers import (
    Answer,
    AnswerDied,
    AnswerLeft,
    Batch,
    parameter_names,
    parts,
    replace_answers,
    wrong_signature,
)
from deepdive.course import Exercise
from deepdive.expect import WrongAnswer
from deepdive.frames import Frames
from deepdive.jail.bounds import bounds_of
from deepdive.jail.client import Channel, Ref, as_exception
from deepdive.jail.wire import Raised, Reply, Returned, TimedOut, WireError
from deepdive.jail.zygote import Ending, Jail, JailError, Job
from deepdive.limits import TimeIsUp
from deepdive.supervisor import how_it_died
from deepdive.values import shorten

_LOAD_SECONDS = 10.0
_NOTHING = b"""
def keep(value):
    global kept
    kept = value

def give(*arguments):
    return kept
"""
_FIND = b"""
import sys

def find(name):
    return getattr(sys.modules["answers"], name)
"""
_GIVEN_SECONDS = 60.0  # for what the kit's own functions do there, on nobody's account: load a model, write a file
_CLEAN_ROOM_SECONDS = 300.0  # measuring a model on hundreds of reviews, on a machine with other work
_EMPTY_CALLS = 5  # for each batch, to learn what asking alone costs
_LEAST_SHARE = 0.02  # of a call's time that the answer is taken to have used, however dear the asking was
_DYING_SECONDS = 0.3  # from the end of its wire to the end of the process; who is still there by then is ended by us


class JailedFile:
    """One hour's file of one submission.

    Args:
        jail: where its jobs run.
        hour: whose limits they have.
        source: the file's bytes.
        shown: what people are told it is called.
    """

    def __init__(self, jail: Jail, hour: int, source: bytes, shown: str) -> None:
        self._jail, self._hour, self._source, self._shown = jail, hour, source, shown
        self._job: Job | None = None
        self._channel: Channel | None = None
        self._functions: dict[str, str] = {}
        self._given: set[str] = set()
        self._empty: tuple[Job, Channel] | None = None
        self._broken: AnswerFileError | None = None
        self._paused = False

    def answer(self, exercise: Exercise, seconds: float) -> JailedAnswer:
        """The submission's function for an exercise.

        Raises:
            AnswerFileError: the file cannot be loaded.
            WrongAnswer: it has no such function.
            JailError: no jail is to be had.
        """
        self.channel()
        if exercise.name not in self._functions:
            raise no_function(exercise, self._shown, list(self._functions))
        return JailedAnswer(self, exercise, seconds)

    def channel(self) -> Channel:
        """The wire to the job that holds the file; a new job when there is none."""
        if self._broken is not None:
            raise self._broken
        if self._channel is None:
            try:
                self._load()
            except AnswerFileError as error:
                self._broken = error
                self.end()
                raise
        assert self._channel is not None
        return self._channel

    def load_beside(self, channel: Channel, name: str, source: bytes) -> Raised | None:
        """Load one of the kit's own modules into the job, unless it is there; what went wrong, if anything."""
        if name in self._given:
            return None
        reply = channel.load(source, f"{name.replace('.', '/')}.py", _GIVEN_SECONDS, module=name)
        if isinstance(reply, Raised):
            return reply
        self._given.add(name)
        return None

    def _load(self) -> None:
        self._given.clear()
        self._job = self._jail.job(bounds_of(self._hour))
        self._channel = Channel(self._job.socket)
        advice = f"Look at what {self._shown} does outside of its functions."
        try:
            reply = self._channel.load(self._source, self._shown, _LOAD_SECONDS)
        except TimedOut as error:
            problem = f"{self._shown} did not finish loading within {_LOAD_SECONDS:g} seconds"
            raise AnswerFileError(problem, advice, error.frames, timed_out=True) from None
        except WireError as error:
            problem = f"{self._shown} took its process down while it was loaded: {self.lost(error)}"
            raise AnswerFileError(problem, advice, crashed=True) from None
        if isinstance(reply, Raised):
            raise _unloadable(self._shown, reply)
        functions = reply.value
        if type(functions) is not dict or not all(type(x) is str for pair in functions.items() for x in pair):
            raise AnswerFileError(f"{self._shown} said something else than which functions it has", advice)
        self._functions = {name: told for name, told in functions.items() if name.isidentifier()}

    def cost_of_asking(self, batch: Batch, result: Any) -> float:
        """Seconds that a request with such arguments takes which does nothing but give this result; the fewest.

        Measured in a job without any of the submission's code, which could otherwise make asking look dear and
        itself quick. Objects that stay in the jail count for nothing.
        """
        try:
            if self._empty is None:
                job = self._jail.job(bounds_of(self._hour))
                self._empty = job, Channel(job.socket)
                self._empty[1].load(_NOTHING, "nothing", _LOAD_SECONDS)
            channel = self._empty[1]
            channel.call("keep", [result], seconds=_LOAD_SECONDS, watch=False)
            return min(channel.timed("give", _without_refs(each), seconds=_LOAD_SECONDS)[0] for each in batch)
        except WireError as error:
            raise JailError(f"an empty job did not answer: {error}") from error

    def apart(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returned | Raised:
        """Call one of the kit's functions in a job of its own, which has seen nothing of the submission.

        Meanwhile the submission's own job stands still.

        Raises:
            AnswerDied: the job did not live to answer.
            JailError: there was no such job to be had.
        """
        module, source = _module_of(function)
        self.pause()
        job = self._jail.job(bounds_of(self._hour))
        channel = Channel(job.socket)
        try:
            reply = channel.load(source, f"{module}.py", _GIVEN_SECONDS, module=module)
            if isinstance(reply, Returned):
                seconds = _CLEAN_ROOM_SECONDS
                reply = channel.call(function.__name__, args, kwargs, seconds, module=module, watch=False)
        except WireError as error:
            channel.close()
            raise AnswerDied(_how_it_ended(_ended(job), error)) from None
        else:
            channel.close()
            _ended(job)
            return reply
        finally:
            self.resume()

    def pause(self) -> None:
        """Let nothing of it run until `resume`: a thread that spins would slow what the answer is compared with."""
        if self._job is not None:
            self._job.pause()
            self._paused = True

    def resume(self) -> None:
        """Let the submission's code run again."""
        if self._job is not None and self._paused:
            self._job.resume()
        self._paused = False

    def close(self) -> None:
        """End all its jobs."""
        self.end()
        if self._empty is not None:
            job, channel = self._empty
            self._empty = None
            channel.close()
            job.kill()
            job.wait()

    def lost(self, error: WireError) -> str:
        """End the job whose wire failed with `error`; how that came about, in words.

        Raises:
            JailError: it was the jail's own failure, not the answer's.
        """
        return _how_it_ended(self.end(), error)

    def end(self) -> Ending | None:
        """End the job, if there is one; the next question starts another."""
        self.resume()
        job, channel = self._job, self._channel
        self._job, self._channel = None, None
        if channel is not None:
            with suppress(WireError, OSError):
                channel.close()
        return None if job is None else _ended(job)


def _ended(job: Job) -> Ending:
    if not job.ended(_DYING_SECONDS):
        job.kill()
    return job.wait()


def _how_it_ended(ending: Ending | None, error: WireError) -> str:
    """In words, what became of a job whose wire failed with `error`.

    Raises:
        JailError: it was the jail's own failure, not that of what ran in it.
    """
    if ending is None or ending.problem:
        raise JailError(ending.problem if ending and ending.problem else str(error))
    if ending.oom:
        return "it ran out of memory"
    if ending.limit in ("wall", "cpu") or isinstance(error, TimedOut):
        return "it used up all the time of its job"
    if ending.limit == "stopped":
        return f"what it sent could not be read: {shorten(str(error), 120)}"
    return how_it_died(ending.signal, ending.exit)


def _module_of(function: Callable[..., Any]) -> tuple[str, bytes]:
    """The name and the source of the module of `checks/given/` that a function is in."""
    return function.__module__, Path(inspect.getfile(function)).read_bytes()


class JailedAnswer(Answer):
    """A function of a submission: the calls go to the jail."""

    jailed = True
    _kit_failures = (JailError,)

    def __init__(self, file: JailedFile, exercise: Exercise, seconds: float) -> None:
        super().__init__(exercise, _elsewhere, seconds)
        self._file = file

    def _perform(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[str]]:
        self._file.resume()
        name = self.exercise.name
        reply = self._ask(lambda channel: channel.call(name, args, kwargs, self._left))
        if _asks_for_arrays(self.exercise) and _stays(reply.value):
            raise self._no_value(reply.value)
        names = dict(enumerate(parameter_names(self.exercise.signature)))
        changed = [names.get(which) if isinstance(which, int) else which for which in reply.changed]
        return reply.value, [shorten(name, 40) for name in changed if name]

    def _give(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module, source = _module_of(function)
        learners = any(isinstance(part, Answer | Ref) for part in parts((args, kwargs)))

        def ask(channel: Channel) -> Reply:
            if raised := self._file.load_beside(channel, module, source):
                return raised
            answer = None
            if learners:
                if raised := self._file.load_beside(channel, "find", _FIND):
                    return raised
                found = channel.call("find", [self.exercise.name], seconds=_LOAD_SECONDS, module="find", watch=False)
                if isinstance(found, Raised):
                    return found
                answer = found.value
            positional, named = replace_answers((args, kwargs), answer)
            seconds = self._left if learners else _GIVEN_SECONDS
            return channel.call(function.__name__, positional, named, seconds, module=module, watch=False)

        self._file.resume()
        return self._ask(ask, on_the_clock=learners).value

    def _apart(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        reply = self._file.apart(function, args, kwargs)
        if isinstance(reply, Raised):
            raise as_exception(reply)
        return reply.value

    def _measure(self, batch: Batch) -> tuple[float, list[Any]]:
        """One request a call: who has all arguments of a batch at once could share work between them."""
        name, taken, results = self.exercise.name, list[float](), list[Any]()

        def ask(channel: Channel, arguments: tuple[Any, ...]) -> Reply:
            seconds, reply = channel.timed(name, arguments, seconds=self._left)
            taken.append(seconds)
            return reply

        self._file.resume()
        try:
            for arguments in batch:
                results.append(self._ask(partial(ask, arguments=arguments)).value)
        finally:
            self._file.pause()
        if any(map(_stays, results)):
            raise self._no_value(results)  # what stays in the jail may stand for work that is still to be done
        # The middle one of the calls, for whoever else wants a core now and then stops one of them for milliseconds;
        # but the quickest of a few empty ones: what is taken off is never more than asking takes.
        asking = self._file.cost_of_asking(batch[:_EMPTY_CALLS], results[0])
        each = max(median(taken) - asking, _LEAST_SHARE * median(taken))
        return each * len(batch), results

    def _no_value(self, got: Any) -> WrongAnswer:
        return WrongAnswer(self.exercise.returns, f"something else: {shorten(repr(got), 100)}")

    def _ask(self, question: Callable[[Channel], Reply], *, on_the_clock: bool = True) -> Returned:
        channel, began = self._file.channel(), time.monotonic()
        try:
            reply = question(channel)
        except TimedOut as error:
            self._file.end()
            raise _with_frames(TimeIsUp(), Frames(error.frames, own=True)) from None
        except WireError as error:
            raise AnswerDied(self._file.lost(error)) from None
        finally:
            if on_the_clock:
                self._left = max(0.05, self._left - (time.monotonic() - began))
        self.printed += reply.stdout + reply.stderr
        if isinstance(reply, Raised):
            raise self._exception(reply)
        return reply

    def _exception(self, reply: Raised) -> BaseException:
        if reply.stage == "bind":
            return wrong_signature(self.exercise, shorten(reply.signature, 100), shorten(reply.message, 200))
        if reply.stage == "find":
            return no_function(self.exercise, "the submission", [])
        if reply.stage == "cross":
            return WrongAnswer(self.exercise.returns, shorten(reply.message, 200))
        frames = Frames(reply.frames, own=reply.own)
        if "Exception" not in reply.bases and reply.type_name != "Exception":
            said = f"({reply.message})" if reply.message else "()"
            return _with_frames(AnswerLeft(f"{reply.type_name}{said}"), frames)
        return _with_frames(as_exception(reply), frames)


def _asks_for_arrays(exercise: Exercise) -> bool:
    # A Mapping may be an object of a library's own, which observers look into.
    arrays = "np." in exercise.returns or "torch.Tensor" in exercise.returns
    return arrays and not exercise.returns.startswith("Mapping")


def _without_refs(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_without_refs(item) for item in value)
    if isinstance(value, dict):
        return {key: _without_refs(item) for key, item in value.items()}
    return None if type(value) is Ref else value


def _stays(value: Any) -> bool:
    """Whether a value, or a part of it, stayed in the jail."""
    if isinstance(value, list | tuple):
        return any(map(_stays, value))
    return any(map(_stays, value.values())) if isinstance(value, dict) else type(value) is Ref


def _elsewhere(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("the function is in the jail")


def _with_frames(error: BaseException, frames: Frames) -> BaseException:
    error.learner_frames = frames  # type: ignore[attr-defined]
    return error


def _unloadable(shown: str, reply: Raised) -> AnswerFileError:
    advice = f"Mend {shown}."
    message = shorten(reply.message, 300)
    if reply.line:
        return AnswerFileError(f"{shown} has a syntax error on line {reply.line}: {message}", advice, reply.frames)
    said = f"{reply.type_name}: {message}" if message else reply.type_name
    return AnswerFileError(f"{shown} could not be loaded: {said}", advice, reply.frames)
