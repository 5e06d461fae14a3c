"""The course, read from its files: which hours there are, which exercises, which checks judge them.

There is no manifest. An hour is `solutions/hourN_topic.py`; an exercise is a public function of it whose
body stands between `### BEGIN SOLUTION` and `### END SOLUTION`; its checks are the functions of
`checks/test_hourN_topic.py` that say `@exercise("its name", …)`; its hints stand under its name in
`checks/hints/hourN_topic.md`. All of it is read as text: nothing is imported, so reading is quick and safe.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"
LONG_SECONDS = 120  # a check that may take so long trains a model for real
HOUR_FILE = re.compile(r"hour(\d+)_([a-z0-9_]+)\.py")


class CourseError(Exception):
    """The course's own files contradict one another; the message says which and how."""


@dataclass(frozen=True)
class Check:
    """One check function: its name, and the same as words (`agrees with torch`).

    Args:
        seconds: how long all calls of the answer in it may take together; None for the usual time.
    """

    name: str
    line: int
    seconds: float | None = None

    @property
    def title(self) -> str:
        return self.name.removeprefix("test_").replace("_", " ")

    @property
    def long(self) -> bool:
        """Whether it takes minutes: it is tried when all other checks pass, and no diagnosis repeats it."""
        return self.seconds is not None and self.seconds >= LONG_SECONDS


@dataclass(frozen=True)
class Exercise:
    """One public function to write.

    Args:
        signature: as its author wrote it, without annotations: `softmax(x, axis=-1)`.
        returns: the return annotation's source, `np.ndarray` for example.
        summary: the first line of its docstring.
        points: what it is worth.
        minutes: about how long it takes.
        stretch: worth points, but not needed for the hour's green tick.
        hints: from a question to nearly the code.
    """

    name: str
    hour: int
    signature: str
    returns: str
    summary: str
    points: int
    minutes: int
    stretch: bool
    checks: tuple[Check, ...]
    hints: tuple[str, ...] = field(repr=False)

    @property
    def worth(self) -> str:
        return "1 point" if self.points == 1 else f"{self.points} points"


@dataclass(frozen=True)
class Hour:
    """One hour: its number, its topic as in the file names, its title and plan from the docstring."""

    number: int
    topic: str
    title: str
    plan: str = field(repr=False)
    exercises: tuple[Exercise, ...]

    @property
    def file_name(self) -> str:
        return f"hour{self.number}_{self.topic}.py"


@dataclass(frozen=True)
class Course:
    """All hours that `root` holds."""

    root: Path
    hours: tuple[Hour, ...]

    @property
    def exercises(self) -> Iterator[Exercise]:
        return (exercise for hour in self.hours for exercise in hour.exercises)

    def exercise(self, name: str) -> Exercise:
        """The exercise called `name`.

        Raises:
            KeyError: there is none; the message names the nearest ones.
        """
        by_name = {exercise.name: exercise for exercise in self.exercises}
        if name in by_name:
            return by_name[name]
        near = get_close_matches(name, by_name, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise KeyError(f"there is no exercise {name!r}{hint}")

    def hour(self, number: int) -> Hour:
        return next(hour for hour in self.hours if hour.number == number)

    def only(self, hours: Collection[int]) -> Course:
        """The course with nothing but these hours: what else it has is neither judged nor counted."""
        return replace(self, hours=tuple(hour for hour in self.hours if hour.number in hours))


def is_course(root: Path) -> bool:
    return (root / "solutions").is_dir() and (root / "checks").is_dir()


def find_root(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds a course."""
    return next((folder for folder in (start, *start.parents) if is_course(folder)), None)


def load_course(root: Path) -> Course:
    """Read the course below `root`.

    Raises:
        CourseError: two hours with one number, an exercise without checks or points, checks of no exercise.
    """
    hours = tuple(
        sorted(
            (_load_hour(root, path) for path in (root / "solutions").iterdir() if HOUR_FILE.fullmatch(path.name)),
            key=lambda hour: hour.number,
        )
    )
    numbers = [hour.number for hour in hours]
    if len(set(numbers)) < len(numbers):
        raise CourseError(f"two files of solutions/ have the same hour's number: {numbers}")
    names = [exercise.name for hour in hours for exercise in hour.exercises]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CourseError(f"these exercises stand in two hours: {', '.join(twice)}")
    return Course(root, hours)


def _load_hour(root: Path, path: Path) -> Hour:
    match = HOUR_FILE.fullmatch(path.name)
    assert match is not None
    number, topic = int(match[1]), match[2]
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, filename=str(path))
    plan = ast.get_docstring(tree) or ""
    checks = _load_checks(root / "checks" / f"test_{path.name}")
    hints = load_hints(root / "checks" / "hints" / path.with_suffix(".md").name)
    functions = list(exercise_functions(tree, source))
    if strays := sorted(set(checks) - {function.name for function in functions}):
        raise CourseError(f"checks/test_{path.name} checks {', '.join(strays)}: not among solutions/{path.name}")
    exercises = tuple(_exercise(number, path, function, checks, hints) for function in functions)
    title = plan.partition("\n")[0].split("·", 1)[-1].strip()
    return Hour(number, topic, title, plan, exercises)


def exercise_functions(tree: ast.Module, source: str) -> Iterator[ast.FunctionDef]:
    """The top-level public functions whose body holds a solution region."""
    lines = source.splitlines()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            body = lines[node.lineno - 1 : node.end_lineno]
            if any(line.strip() == BEGIN for line in body):
                yield node


def _exercise(
    hour: int,
    path: Path,
    function: ast.FunctionDef,
    checks: dict[str, list[tuple[Check, dict[str, Any]]]],
    hints: dict[str, tuple[str, ...]],
) -> Exercise:
    found = checks.get(function.name, [])
    settings: dict[str, Any] = {}
    for _, keywords in found:
        settings |= {key: value for key, value in keywords.items() if key in ("points", "minutes", "stretch")}
    if "points" not in settings or "minutes" not in settings:
        raise CourseError(
            f"{function.name} in {path.name} has no check that states its points and minutes: "
            f'its first one should read @exercise("{function.name}", points=…, minutes=…)'
        )
    return Exercise(
        name=function.name,
        hour=hour,
        signature=_signature(function),
        returns=ast.unparse(function.returns) if function.returns else "",
        summary=(ast.get_docstring(function) or "").partition("\n")[0],
        points=settings["points"],
        minutes=settings["minutes"],
        stretch=settings.get("stretch", False),
        checks=tuple(check for check, _ in found),
        hints=hints.get(function.name, ()),
    )


def _signature(function: ast.FunctionDef) -> str:
    bare = ast.parse(ast.unparse(function)).body[0]
    assert isinstance(bare, ast.FunctionDef)
    for argument in ast.walk(bare.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return f"{function.name}({ast.unparse(bare.args)})"


def _load_checks(path: Path) -> dict[str, list[tuple[Check, dict[str, Any]]]]:
    """The check functions of one file by the exercise they judge, with the decorator's keywords."""
    if not path.exists():
        raise CourseError(f"{path.parent.parent.name} has no {path.parent.name}/{path.name}")
    found: dict[str, list[tuple[Check, dict[str, Any]]]] = {}
    seen: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "exercise":
                if node.name in seen:
                    raise CourseError(f"{path.name} defines {node.name} twice; the first would never run")
                seen.add(node.name)
                name = ast.literal_eval(decorator.args[0])
                keywords = {k.arg: ast.literal_eval(k.value) for k in decorator.keywords if k.arg}
                check = Check(node.name, node.lineno, keywords.get("seconds"))
                found.setdefault(name, []).append((check, keywords))
    return found


def load_hints(path: Path) -> dict[str, tuple[str, ...]]:
    """Hints by exercise: each `## name` is followed by a numbered list."""
    if not path.exists():
        return {}
    hints: dict[str, tuple[str, ...]] = {}
    for section in re.split(r"(?m)^## ", path.read_text(encoding="utf-8"))[1:]:
        name, _, body = section.partition("\n")
        items = re.split(r"(?m)^\d+\. ", body)[1:]
        hints[name.strip().strip("`")] = tuple(item.strip() for item in items)
    return hints
