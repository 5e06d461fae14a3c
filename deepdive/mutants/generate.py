"""From a solution to its mutants: every operator at every place of the solution region, one change at a time.

A mutant goes by its exercise and its diff, for line numbers do not last; so no two of an exercise share a diff.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from deepdive.course import BEGIN, END, Course, Exercise, exercise_functions
from deepdive.mutants.operators import is_negative_number, operators_given

MAX_WIDTH = 70  # of each side of a diff, in characters


@dataclass(frozen=True)
class Mutant:
    """One exercise's solution with one thing changed.

    Args:
        exercise: the exercise's name.
        line: where in the solution file the change is.
        operator: what kind of change, one of `OPERATORS`.
        diff: what stood there and what stands there now; no two mutants of an exercise share it.
        source: the whole function, changed, without its docstring and comments.
    """

    exercise: str
    line: int
    operator: str
    diff: str
    source: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.exercise}:{self.line}  [{self.operator}]  {self.diff}"

    def function(self, course: Course) -> Callable[..., Any]:
        """The function itself, in a fresh copy of its module, in the place of the right one."""
        path = _solution_path(course, course.exercise(self.exercise))
        namespace: dict[str, Any] = {"__name__": f"solutions.{path.stem}", "__file__": str(path)}
        code = _compiled(path, path.read_text(encoding="utf-8"))
        exec(code, namespace)
        postponed = code.co_flags & annotations.compiler_flag  # `from __future__ import annotations`
        exec(compile(self.source, str(path), "exec", flags=postponed, dont_inherit=True), namespace)
        function: Callable[..., Any] = namespace[self.exercise]
        return function


@cache
def _compiled(path: Path, text: str) -> CodeType:
    return compile(text, str(path), "exec", dont_inherit=True)


def _solution_path(course: Course, exercise: Exercise) -> Path:
    return course.root / "solutions" / course.hour(exercise.hour).file_name


def mutants_of(course: Course, exercise: Exercise) -> list[Mutant]:
    """All mutants of one exercise, in the order of the code; always the same ones."""
    text = _solution_path(course, exercise).read_text(encoding="utf-8")
    return mutate(text, exercise.name)


def unchanged(course: Course, exercise: Exercise) -> Mutant:
    """The mutant that is none: what judges mutants must find nothing wrong with it."""
    _, function = _parsed(_solution_path(course, exercise).read_text(encoding="utf-8"), exercise.name)
    return Mutant(exercise.name, function.lineno, "none", "unchanged", ast.unparse(function))


def mutate(text: str, name: str) -> list[Mutant]:
    """All mutants of the solution regions of one function.

    Args:
        text: a solution file.
        name: the function's name.
    """
    tree, function = _parsed(text, name)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    modules = frozenset(alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names)
    operators = operators_given(modules)

    seen = {ast.unparse(function)}
    found: list[tuple[Mutant, str]] = []
    for place, chain in _places_in(function, text.splitlines()):
        before = [_shown(node) for node in chain]
        original = chain[0]
        for operator, changes in operators.items():
            for changed in changes(original):
                place.put(changed)
                source = ast.unparse(function)
                if source not in seen and _is_python(source):
                    seen.add(source)
                    after = [_shown(node) for node in (changed, *chain[1:])]
                    narrow, wide = _diffs(chain, before, after)
                    found.append((Mutant(name, _line_of(chain), operator, narrow, source), wide))
                place.put(original)
    return _told_apart(found)


def _is_python(source: str) -> bool:
    """Whether a changed function can still be compiled: `for x in *pairs`, what is left of a call, cannot."""
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _parsed(text: str, name: str) -> tuple[ast.Module, ast.FunctionDef]:
    """A solution file, and one function of it without its docstring."""
    tree = ast.parse(text)
    function = next(function for function in exercise_functions(tree, text) if function.name == name)
    if ast.get_docstring(function) is not None:
        del function.body[0]
    return tree, function


@dataclass(frozen=True)
class _Place:
    """Where a node hangs in its tree."""

    owner: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.index] = node


Chain = tuple[ast.AST, ...]  # a node and what it is part of, up to its statement


def _places_in(function: ast.FunctionDef, lines: Sequence[str]) -> Iterator[tuple[_Place, Chain]]:
    """Every place in the function's solution regions, from the outside in."""
    within, inside = set[int](), False
    for line_number, line in enumerate(lines, start=1):
        inside = (inside or line.strip() == BEGIN) and line.strip() != END
        within |= {line_number} if inside else set()
    for index, statement in enumerate(function.body):
        if statement.lineno in within:
            yield from _places(_Place(function, "body", index), statement, ())


def _places(place: _Place, node: ast.AST, above: Chain) -> Iterator[tuple[_Place, Chain]]:
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.arguments) or _is_text(node):
        return
    yield place, (node, *_up_to_the_statement(node, above))
    if isinstance(node, ast.Raise) or is_negative_number(node):
        return  # the text of an error message is nobody's mistake; -1 is one number
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from _places(_Place(node, name, index), child, (node, *above))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _up_to_the_statement(node: ast.AST, above: Chain) -> Chain:
    """As much of `above` as shows what became of `node`: its statement, and an `if` around that alone."""
    chain: list[ast.AST] = []
    for parent in above:
        if isinstance(node, ast.stmt) and not _is_one_line_if(parent):
            break
        chain.append(parent)
        node = parent
    return tuple(chain)


def _is_one_line_if(node: ast.AST) -> bool:
    simple = ast.Assign | ast.AugAssign | ast.Return | ast.Raise | ast.Expr | ast.Pass | ast.Break | ast.Continue
    return isinstance(node, ast.If) and not node.orelse and len(node.body) == 1 and isinstance(node.body[0], simple)


def _shown(node: ast.AST) -> str:
    """A node as one line: an error without its message, a loop without its body."""
    if isinstance(node, ast.If) and _is_one_line_if(node):
        return f"if {ast.unparse(node.test)}: {_shown(node.body[0])}"
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return f"raise {ast.unparse(node.exc.func)}(…)"
    return ast.unparse(node).strip().split("\n")[0]


def _diffs(chain: Chain, before: Sequence[str], after: Sequence[str]) -> tuple[str, str]:
    """The change with as much around it as fits, and with all of its statement around it."""
    bare = ast.Constant | ast.Name | ast.Slice | ast.Tuple | ast.Attribute | ast.Starred
    if isinstance(chain[0], ast.expr):
        bare |= ast.If  # the condition alone says it
    telling = [
        index
        for index, node in enumerate(chain)
        if isinstance(node, ast.expr | ast.stmt) and not isinstance(node, bare)
    ] or [len(chain) - 1]
    fitting = [index for index in telling if max(len(before[index]), len(after[index])) <= MAX_WIDTH]
    shown = fitting[-1] if fitting else telling[0]
    return f"{before[shown]} → {after[shown]}", f"{before[-1]} → {after[-1]}"


def _line_of(chain: Chain) -> int:
    return next(int(node.lineno) for node in chain if hasattr(node, "lineno"))


def _told_apart(found: Sequence[tuple[Mutant, str]]) -> list[Mutant]:
    """Where two diffs read alike, show the whole statements; where these do too, number them."""
    often = Counter(mutant.diff for mutant, _ in found)
    mutants = [replace(mutant, diff=wide) if often[mutant.diff] > 1 else mutant for mutant, wide in found]
    often = Counter(mutant.diff for mutant in mutants)
    numbers = Counter[str]()
    for index, mutant in enumerate(mutants):
        if often[mutant.diff] > 1:
            numbers[mutant.diff] += 1
            mutants[index] = replace(mutant, diff=f"{mutant.diff}  ({numbers[mutant.diff]})")
    return mutants
