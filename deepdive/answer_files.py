"""Where the answers are: the learner's files, looked at as text and loaded as modules, each once."""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from deepdive.answers import DEFAULT_SECONDS, Answer
from deepdive.course import Course, Exercise
from deepdive.expect import WrongAnswer
from deepdive.frames import describe_error, frames_of
from deepdive.limits import TimeIsUp, time_limit
from deepdive.source import function_in
from deepdive.values import kind


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
        tree = self.tree(exercise)
        return function_in(tree, exercise.name) if tree else None

    def tree(self, exercise: Exercise) -> ast.Module | None:
        """The file that holds an exercise, parsed; None when it cannot be."""
        path = self.path(exercise)
        if path not in self._trees:
            try:
                self._trees[path] = ast.parse(path.read_bytes())
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[path] = None
        return self._trees[path]

    def blame(self, path: Path, error: AnswerFileError) -> None:
        """Remember that running this file took its process down, so that nobody runs it again."""
        self._modules[path] = error

    def answer(self, exercise: Exercise, seconds: float = DEFAULT_SECONDS) -> Answer:
        """The learner's function for an exercise, as a check sees it; raises what `function` raises."""
        return Answer(exercise, self.function(exercise), seconds)

    def function(self, exercise: Exercise) -> Callable[..., Any]:
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
                module = load_module(path, self.shown(path), self._seconds, self._trees.get(path))
            except AnswerFileError as error:
                module = error
            self._modules[path] = module
        if isinstance(module, AnswerFileError):
            raise module
        function: Any = module.__dict__.get(exercise.name)
        if not callable(function):
            others = {e.name for e in self._course.exercises}
            defined = [n for n, v in vars(module).items() if inspect.isfunction(v) and n not in others]
            raise no_function(exercise, self.shown(path), defined, function)
        return function  # type: ignore[no-any-return]


def no_function(exercise: Exercise, shown: str, defined: Collection[str], found: Any = None) -> WrongAnswer:
    """What a file is told that has no function for an exercise.

    Args:
        exercise: the exercise.
        shown: the file, as people read it.
        defined: the names of the functions it has.
        found: what stands under the exercise's name instead, if anything does.
    """
    wanted = f"a function {exercise.signature} in {shown}"
    if found is not None:
        return WrongAnswer(wanted, kind(found), likely=f"The name {exercise.name} holds something else.")
    near = get_close_matches(exercise.name, defined, n=1, cutoff=0.5)
    advice = f"Was it renamed? The file has {near[0]}." if near else "Was it deleted or renamed?"
    return WrongAnswer(wanted, "no such function", likely=advice)


def load_module(
    path: Path, shown: str, seconds: float = DEFAULT_SECONDS, tree: ast.Module | None = None
) -> ModuleType:
    """Run a file of answers as a module of its own; never from a cache of compiled code.

    Args:
        path: the file.
        shown: what people call it.
        seconds: how long it may take.
        tree: the file, if it is parsed already.

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
        tree = tree or ast.parse(path.read_bytes(), filename=str(path))
        code = compile(tree, str(path), "exec", dont_inherit=True)
        _import_libraries(tree)
        with time_limit(seconds, loading=True):
            exec(code, module.__dict__)
    except SyntaxError as error:
        where = "".join(traceback.format_exception_only(error)).replace(f'"{path}"', shown).rstrip()
        line = f" on line {error.lineno}" if error.lineno else ""
        raise AnswerFileError(f"{shown} has a syntax error{line}: {error.msg}", advice, where) from None
    except TimeIsUp as error:
        problem = f"{shown} did not finish loading within {seconds:g} seconds"
        raise AnswerFileError(problem, advice, frames_of(error, path).text, timed_out=True) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        problem = f"{shown} could not be loaded: {describe_error(error)}"
        raise AnswerFileError(problem, advice, frames_of(error, path).text) from None
    return module


# What the hours are about takes seconds to import, ten from a cold disk: nobody's answer is slow for that.
LIBRARIES = {"numpy", "scipy", "torch", "transformers", "datasets", "sklearn", "optimum", "onnxruntime", "fastapi"}


def _import_libraries(tree: ast.Module) -> None:
    """Run a file's own imports of well-known libraries, as it states them."""
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            modules = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            modules = [statement.module]
        else:
            continue
        if all(module.partition(".")[0] in LIBRARIES for module in modules):
            with suppress(Exception):  # which the file itself will meet, and be told of
                exec(compile(ast.Module([statement], []), "<imports>", "exec"), {})
