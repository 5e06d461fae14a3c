"""Answers: the learner's functions, found in a file, called with care and with every call recorded."""

from __future__ import annotations

import ast
import inspect
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from deepdive import limits
from deepdive.course import Course, Exercise
from deepdive.expect import WrongAnswer
from deepdive.limits import TimeIsUp, time_limit
from deepdive.values import identical, is_array, kind, plain

# Hour 1 answers in milliseconds, but an answer may import torch first: 2 s, and several more from a cold disk.
DEFAULT_SECONDS = 10.0


class StillToDo(Exception):
    """The exercise's body still is `raise NotImplementedError`, or it calls an exercise whose body is."""


class AnswerFileError(Exception):
    """The file as a whole cannot be used; no exercise of it can be judged.

    Args:
        problem: what is wrong, in one sentence.
        advice: what to do about it.
        frames: where, as traceback prints it.
        timed_out: whether running the file took too long.
        crashed: whether running it took the process down.
    """

    def __init__(
        self, problem: str, advice: str, frames: str = "", *, timed_out: bool = False, crashed: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem, self.advice, self.frames = problem, advice, frames
        self.timed_out, self.crashed = timed_out, crashed


class AnswerLeft(Exception):
    """The answer tried to end the program instead of returning (`sys.exit()`, `pytest.skip()`, …)."""


@dataclass
class Call:
    """One call of the learner's function, with copies of what went in and of what came out."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    returned: Any = None
    raised: BaseException | None = None
    changed: list[str] = field(default_factory=list)


class Answer:
    """The learner's function, as a check sees it: called like the function itself.

    Args:
        exercise: which exercise it answers.
        function: the function.
        seconds: how long its calls may take, all together.
    """

    def __init__(self, exercise: Exercise, function: Callable[..., Any], seconds: float = DEFAULT_SECONDS) -> None:
        self.exercise = exercise
        self.calls: list[Call] = []
        self._function = function
        self._signature = signature_of(function)
        self.seconds = seconds
        self._left = seconds

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the learner's function; record the call; give a plain copy of what it returned.

        Raises:
            WrongAnswer: its signature does not fit, or it returned another kind of thing than the exercise asks.
            AnswerLeft: it tried to end the program.
            TimeIsUp: it took too long.
            Exception: what the function itself raised, as it was.
        """
        self._check_signature(args, kwargs)
        call = Call(plain(args), plain(kwargs))
        self.calls.append(call)
        try:
            returned = self._run(args, kwargs)
        except BaseException as error:
            call.raised = error
            raise
        call.changed = self._changed(call, args, kwargs)
        call.returned = plain(returned)
        check_kind(call.returned, self.exercise.returns)
        return call.returned

    def timed(self, *args: Any) -> tuple[float, Any]:
        """Call the learner's function on copies and give (seconds, result); recorded only if it raises."""
        self._check_signature(args, {})
        copies = plain(args)
        before = time.perf_counter()
        try:
            returned = self._run(copies, {})
        except BaseException as error:
            self.calls.append(Call(plain(args), {}, raised=error))
            raise
        seconds = time.perf_counter() - before
        result = plain(returned)
        check_kind(result, self.exercise.returns)
        return seconds, result

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
            raise WrongAnswer(
                self.exercise.signature,
                f"{self.exercise.name}{bare_signature(self._signature)}",
                str(error),
                "The parameters have changed: the checks call the function as the stub declared it.",
            ) from None

    def _changed(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        names = parameter_names(self.exercise.signature)
        positional = [
            name for name, before, after in zip(names, call.args, args, strict=False) if not identical(before, after)
        ]
        return positional + [name for name, after in kwargs.items() if not identical(call.kwargs[name], after)]


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


def check_kind(value: Any, annotation: str) -> None:
    """Is a returned value of the kind the exercise's signature promises?

    Raises:
        WrongAnswer: it is not; None asks whether a `return` is missing.
    """
    if not annotation or annotation in ("Any", "None"):
        return
    if value is None:
        raise WrongAnswer(annotation, "None", likely="The function returned None: is a `return` missing?")
    _check_kind(value, ast.parse(annotation, mode="eval").body, annotation, value)


_PLAIN_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "list": (list,), "dict": (dict,)}


def _check_kind(value: Any, node: ast.expr, annotation: str, whole: Any) -> None:
    head = ast.unparse(node.value if isinstance(node, ast.Subscript) else node)
    if head == "np.ndarray" and not isinstance(value, np.ndarray | np.number | np.bool_):  # x[0] is an array too
        raise WrongAnswer(annotation, kind(whole), likely=_not_an_array(value))
    if head == "tuple" and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        parts = node.slice.elts
        if not isinstance(value, tuple | list) or len(value) != len(parts):
            raise WrongAnswer(annotation, kind(whole), likely=f"The function should return {len(parts)} values.")
        for item, part in zip(value, parts, strict=True):
            _check_kind(item, part, annotation, whole)
    elif head in _PLAIN_KINDS and not isinstance(value, _PLAIN_KINDS[head]):
        raise WrongAnswer(annotation, kind(whole), likely=f"A {head} is asked for.")


def _not_an_array(value: Any) -> str:
    if is_array(value):
        return "A torch tensor came back where a NumPy array is asked for: .numpy() makes one of it."
    if isinstance(value, list | tuple):
        return f"A {type(value).__name__} came back where an array is asked for: np.array(…) makes one of it."
    if inspect.isgenerator(value):
        return "A generator came back: the function has a `yield` where it should `return` an array."
    if value is None:
        return "None came back where an array is asked for."
    return "An array is asked for."


class AnswerFiles:
    """Where the answers come from: `exercises/`, `solutions/`, or any folder or file with the hours' names.

    Args:
        course: the course they answer.
        place: a folder that holds `hourN_topic.py` files, or one such file.
        seconds: how long loading a file may take.
    """

    def __init__(self, course: Course, place: Path, seconds: float = DEFAULT_SECONDS) -> None:
        self._course = course
        self._place = place
        self._seconds = seconds
        self._modules: dict[Path, ModuleType | AnswerFileError] = {}
        self._trees: dict[Path, ast.Module | None] = {}

    def path(self, exercise: Exercise) -> Path:
        """The file that should hold this exercise."""
        name = self._course.hour(exercise.hour).file_name
        return self._place if self._place.suffix == ".py" else self._place / name

    def shown(self, path: Path) -> str:
        """A path as people read it: from the course's root when it is below."""
        return str(path.relative_to(self._course.root)) if path.is_relative_to(self._course.root) else str(path)

    def is_stub(self, exercise: Exercise) -> bool:
        """Whether the body still is nothing but `raise NotImplementedError`; reads the file, runs nothing."""
        definition = self._definition(exercise)
        if definition is None:
            return False
        body = definition.body[1:] if ast.get_docstring(definition, clean=False) is not None else definition.body
        return len(body) == 1 and isinstance(body[0], ast.Raise) and "NotImplementedError" in ast.unparse(body[0])

    def line(self, exercise: Exercise) -> int:
        """The line on which the exercise is defined; 1 when it cannot be found."""
        definition = self._definition(exercise)
        return definition.lineno if definition else 1

    def _definition(self, exercise: Exercise) -> ast.FunctionDef | None:
        path = self.path(exercise)
        if path not in self._trees:
            try:
                self._trees[path] = ast.parse(path.read_bytes())
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[path] = None
        tree = self._trees[path]
        found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == exercise.name] if tree else []
        return found[-1] if found else None

    def blame(self, path: Path, error: AnswerFileError) -> None:
        """Remember that running this file took its process down, so that nobody runs it again."""
        self._modules[path] = error

    def answer(self, exercise: Exercise, seconds: float = DEFAULT_SECONDS) -> Answer:
        """The learner's function for an exercise.

        Raises:
            StillToDo: nothing written yet.
            AnswerFileError: the file is missing or broken.
            WrongAnswer: the file has no such function.
        """
        path = self.path(exercise)
        if self.is_stub(exercise):
            raise StillToDo(f"{exercise.name} is still to do")
        module = self._modules.get(path)
        if module is None:
            try:
                module = load_module(path, self.shown(path), self._seconds)
            except AnswerFileError as error:
                module = error
            self._modules[path] = module
        if isinstance(module, AnswerFileError):
            raise module
        function = module.__dict__.get(exercise.name)
        if not callable(function):
            raise self._no_function(exercise, module, function)
        return Answer(exercise, function, seconds)

    def _no_function(self, exercise: Exercise, module: ModuleType, found: Any) -> WrongAnswer:
        wanted = f"a function {exercise.signature} in {self.shown(self.path(exercise))}"
        if found is not None:
            return WrongAnswer(wanted, kind(found), likely=f"The name {exercise.name} holds something else.")
        others = {e.name for e in self._course.exercises}
        defined = [n for n, v in module.__dict__.items() if inspect.isfunction(v) and n not in others]
        near = get_close_matches(exercise.name, defined, n=1, cutoff=0.5)
        advice = f"Was it renamed? The file has {near[0]}." if near else "Was it deleted or renamed?"
        return WrongAnswer(wanted, "no such function", likely=advice)


def load_module(path: Path, shown: str, seconds: float = DEFAULT_SECONDS) -> ModuleType:
    """Run a file of answers as a module of its own; never from a cache of compiled code.

    Raises:
        AnswerFileError: there is no such file, it has a syntax error, or running it raised, exited or hung.
    """
    advice = f"Mend {shown}; `deepdive build --force` writes a fresh one and keeps yours beside it."
    if not path.exists():
        raise AnswerFileError(f"{shown} is missing", "`deepdive build` writes a fresh stub.")
    name = f"answers_{path.stem}"  # never a name the checks themselves import
    loader = SourceFileLoader(name, str(path))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        with time_limit(seconds, loading=True):
            exec(code, module.__dict__)
    except SyntaxError as error:
        where = "".join(traceback.format_exception_only(error)).replace(f'"{path}"', shown).rstrip()
        line = f" on line {error.lineno}" if error.lineno else ""
        raise AnswerFileError(f"{shown} has a syntax error{line}: {error.msg}", advice, where) from None
    except TimeIsUp as error:
        problem = f"{shown} did not finish loading within {seconds:g} seconds"
        raise AnswerFileError(problem, advice, learner_frames(error, path), timed_out=True) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        problem = f"{shown} could not be loaded: {describe_error(error)}"
        raise AnswerFileError(problem, advice, learner_frames(error, path)) from None
    return module


def describe_error(error: BaseException) -> str:
    """`ValueError: the message`, with the long middle of a long message left out."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:200]} … {text[-80:]}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def learner_frames(error: BaseException, path: Path) -> str:
    """The frames of a traceback that lie in the learner's file, as traceback prints them."""
    shown = str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    lines = traceback.StackSummary.from_list(own).format()
    if len(lines) > 12:
        lines = [*lines[:4], f"  … {len(lines) - 8} more frames …\n", *lines[-4:]]
    return "".join(lines).replace(f'"{path}"', shown).rstrip()
