"""Mutants: the solutions with one small thing wrong, to find what the checks do not see.

A mutant is the body of one exercise with one operator, number, argument, branch or statement changed. The checks of
the exercise must find each of them wrong. One that survives is a hole in the checks, unless it does the same as the
solution: then it stands in `tests/equivalent_mutants/` with the reason.

Only what lies between `### BEGIN SOLUTION` and `### END SOLUTION` is mutated. The signature stays, for the stub fixes
it, and so does the text of error messages. Mutants are judged in processes of their own: one that loops without end
or eats the memory costs its own time and no more.
"""

from __future__ import annotations

import ast
import copy
import multiprocessing
import os
import tomllib
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any

from deepdive.answers import Answer
from deepdive.course import BEGIN, END, Course, Exercise, exercise_functions
from deepdive.judge import judge
from deepdive.proof import checks_of
from deepdive.verdict import WRONG, State

# ── What can be changed ─────────────────────────────────────────────────────────────────────────────────────────

Operator = Callable[[ast.AST], Iterator[ast.AST]]

_ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
}
_ORDERED = ast.Sub | ast.Div | ast.FloorDiv | ast.Mod | ast.Pow | ast.MatMult

# With the condition forced to True and to False, these stand for every other way to get a comparison wrong.
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.NotEq, ast.GtE),
    ast.LtE: (ast.Lt, ast.Eq, ast.Gt),
    ast.Gt: (ast.GtE, ast.NotEq, ast.LtE),
    ast.GtE: (ast.Gt, ast.Eq, ast.Lt),
    ast.Eq: (ast.NotEq, ast.LtE, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}

_NAME_PAIRS = (
    "max min, maximum minimum, amax amin, argmax argmin, sum mean, nansum nanmean, var std, cumsum cumprod, "
    "tril triu, zeros ones, zeros_like ones_like, exp exp2, log log2, sqrt square, sin cos, tanh arctan, erf erfc, "
    "floor ceil, all any, isfinite isnan, startswith endswith, lstrip rstrip, lower upper, softmax log_softmax, "
    "train eval, sort argsort, int64 int32, float64 float32, long int, float double"
)
_NAMES = {a: b for pair in _NAME_PAIRS.split(", ") for a, b in (pair.split(), pair.split()[::-1])}

_CONVERSIONS = {"asarray", "as_tensor"}  # whose whole statement is deleted anyway, as one mutant and not two
_SYMMETRIC = {"swapaxes", "transpose", "maximum", "minimum", "max", "min", "broadcast_shapes", "array_equal", "gcd"}


def arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        for other in _ARITHMETIC.get(type(node.op), ()):
            yield _with(node, op=other())


def operand_dropped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    if isinstance(node, ast.BoolOp):
        for rest in _each_left_out(node.values):
            yield _with(node, values=rest) if len(rest) > 1 else rest[0]


def operands_swapped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ORDERED):
        yield _with(node, left=node.right, right=node.left)


def comparison(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for index, op in enumerate(node.ops):
            for other in _COMPARISONS[type(op)]:
                if not (other in (ast.LtE, ast.Gt, ast.NotEq) and _is_size_against_zero(node, type(op), other)):
                    yield _with(node, ops=[*node.ops[:index], other(), *node.ops[index + 1 :]])


def _is_size_against_zero(node: ast.Compare, op: type[ast.cmpop], other: type[ast.cmpop]) -> bool:
    """A size is never below 0, so `size == 0` is `size <= 0`, and `size != 0` is `size > 0`."""
    text = ast.unparse(node.left)
    is_size = text.endswith((".size", ".ndim")) or text.startswith(("len(", "np.size(", "np.ndim("))
    against_zero = isinstance(node.comparators[0], ast.Constant) and node.comparators[0].value == 0
    return is_size and against_zero and {op, other} in ({ast.Eq, ast.LtE}, {ast.NotEq, ast.Gt})


def connective(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def sign_dropped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.UnaryOp) and not _is_negative_number(node):
        yield node.operand


def number(node: ast.AST) -> Iterator[ast.AST]:
    value = _number_in(node)
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield from map(_literal, dict.fromkeys(n for n in (value + 1, value - 1, 0, -value) if n != value))
    elif isinstance(value, float):
        # What is as small as 1e-5 is a safeguard, and right to the order of magnitude.
        factors = (10, 0.1, 0, -1) if abs(value) < 1e-3 else (1.1, 0, -1)
        yield from map(_literal, dict.fromkeys(float(f"{f * value:.6g}") for f in factors if f * value != value))


def slice_shifted(node: ast.AST) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Slice):
        return
    for bound, missing in (("lower", 1), ("upper", -1)):
        there = getattr(node, bound)
        if there is None:
            yield _with(node, **{bound: _literal(missing)})
        elif _number_in(there) is None:
            yield _with(node, **{bound: ast.BinOp(there, ast.Add(), _literal(1))})
        if there is not None and _number_in(there) != 0:
            yield _with(node, **{bound: None})


def argument_dropped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call):
        for rest in _each_left_out(node.keywords):
            yield _with(node, keywords=rest)
        if len(node.args) > 1:
            yield _with(node, args=node.args[:-1])


def arguments_swapped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and not (len(node.args) == 2 and _name_of(node.func) in _SYMMETRIC):
        for swapped in _neighbours_swapped(node.args):
            yield _with(node, args=swapped)


def call_unwrapped(node: ast.AST, imported: frozenset[str] = frozenset()) -> Iterator[ast.AST]:
    """`x.swapaxes(1, 2)` becomes `x`, and `np.exp(x)` becomes `x`."""
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield node.value
    if isinstance(node, ast.Call) and _name_of(node.func) not in _CONVERSIONS:
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func).split(".")[0] not in imported:
            yield node.func.value
        elif node.args:
            yield node.args[0]


def name_swapped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield _with(node, attr=_NAMES[node.attr])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMES:
        yield _with(node, func=ast.Name(_NAMES[node.func.id], ast.Load()))


def element_dropped(node: ast.AST) -> Iterator[ast.AST]:
    """Out of what a loop runs over, or what `in` looks into."""
    if isinstance(node, ast.For | ast.comprehension):
        yield from (_with(node, iter=shorter) for shorter in _shorter(node.iter))
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        yield from (_with(node, comparators=[s, *node.comparators[1:]]) for s in _shorter(node.comparators[0]))


def statement_deleted(node: ast.AST) -> Iterator[ast.AST]:
    kinds = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return | ast.Raise | ast.Delete | ast.For
    if isinstance(node, kinds):
        yield ast.Pass()


def return_swapped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        for swapped in _neighbours_swapped(node.value.elts):
            yield _with(node, value=_with(node.value, elts=swapped))


def condition_negated(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def branch_forced(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If):
        only_raises = len(node.body) == 1 and isinstance(node.body[0], ast.Raise) and not node.orelse
        for forced in (True,) if only_raises else (True, False):  # the deleted `raise` is the other one
            yield _with(node, test=ast.Constant(forced))
    if isinstance(node, ast.While):
        yield _with(node, test=ast.Constant(False))
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    if isinstance(node, ast.comprehension):
        yield from (_with(node, ifs=rest) for rest in _each_left_out(node.ifs))


def error_changed(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        other = "ValueError" if _name_of(node.exc.func) == "TypeError" else "TypeError"
        yield _with(node, exc=_with(node.exc, func=ast.Name(other, ast.Load())))


OPERATORS: dict[str, Operator] = {
    operator.__name__.replace("_", " "): operator
    for operator in (
        arithmetic,
        operand_dropped,
        operands_swapped,
        comparison,
        connective,
        sign_dropped,
        number,
        slice_shifted,
        argument_dropped,
        arguments_swapped,
        call_unwrapped,
        name_swapped,
        element_dropped,
        statement_deleted,
        return_swapped,
        condition_negated,
        branch_forced,
        error_changed,
    )
}


def _with(node: ast.AST, **changes: Any) -> Any:
    """A node like `node` but for these fields; what lies below is shared."""
    other = copy.copy(node)
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def _each_left_out(items: Sequence[Any]) -> Iterator[list[Any]]:
    return ([*items[:index], *items[index + 1 :]] for index in range(len(items)))


def _neighbours_swapped(items: Sequence[ast.expr]) -> Iterator[list[ast.expr]]:
    if not any(isinstance(item, ast.Starred) for item in items):
        for i in range(len(items) - 1):
            yield [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def _shorter(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 1:
        yield from (_with(node, elts=rest) for rest in _each_left_out(node.elts))
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 1:
        yield from (ast.Constant("".join(rest)) for rest in _each_left_out(node.value))


def _name_of(function: ast.expr) -> str:
    return ast.unparse(function).split(".")[-1]


def _is_negative_number(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _number_in(node: ast.AST) -> bool | int | float | None:
    """The value of a number as it stands in the code, `-1` included; None for all else."""
    if isinstance(node, ast.UnaryOp) and _is_negative_number(node):
        value = _number_in(node.operand)
        return None if value is None or isinstance(value, bool) else -value
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int | float) else None


def _literal(value: int | float) -> ast.expr:
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


# ── From a solution to its mutants ──────────────────────────────────────────────────────────────────────────────

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
        code = _compiled(path)
        exec(code, namespace)
        postponed = code.co_flags & annotations.compiler_flag  # `from __future__ import annotations`
        exec(compile(self.source, str(path), "exec", flags=postponed, dont_inherit=True), namespace)
        function: Callable[..., Any] = namespace[self.exercise]
        return function


@cache
def _compiled(path: Path) -> Any:
    return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _solution_path(course: Course, exercise: Exercise) -> Path:
    return course.root / "solutions" / course.hour(exercise.hour).file_name


def mutants_of(course: Course, exercise: Exercise) -> list[Mutant]:
    """All mutants of one exercise, in the order of the code; always the same ones."""
    text = _solution_path(course, exercise).read_text(encoding="utf-8")
    return mutate(text, exercise.name)


def mutate(text: str, name: str) -> list[Mutant]:
    """All mutants of the solution regions of one function.

    Args:
        text: a solution file.
        name: the function's name.
    """
    tree = ast.parse(text)
    function = next(function for function in exercise_functions(tree, text) if function.name == name)
    if ast.get_docstring(function) is not None:
        del function.body[0]
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    imported = frozenset(alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names)
    operators = OPERATORS | {"call unwrapped": partial(call_unwrapped, imported=imported)}

    seen = {ast.unparse(function)}
    found: list[tuple[Mutant, str]] = []
    for place, chain in _places_in(function, text.splitlines()):
        before = [_shown(node) for node in chain]
        original = chain[0]
        for operator, changes in operators.items():
            for changed in list(changes(original)):
                place.put(changed)
                source = ast.unparse(function)
                if source not in seen:
                    seen.add(source)
                    after = [_shown(node) for node in (changed, *chain[1:])]
                    narrow, wide = _diffs(chain, before, after)
                    found.append((Mutant(name, _line(chain), operator, narrow, source), wide))
                place.put(original)
    return _told_apart(found)


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
    if isinstance(node, ast.Raise) or _is_negative_number(node):
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


def _line(chain: Chain) -> int:
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


# ── Judging them ────────────────────────────────────────────────────────────────────────────────────────────────

# torch, Transformers and MiniLM take 1.1 GB of it; a mutant that asks for an array of terabytes gets a MemoryError.
MAX_BYTES = 4 * 2**30
# Beyond the time limits of the checks, which are the answer's alone: for the checks' own work and their imports.
PATIENCE_SECONDS = 60.0


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    SURVIVED = "survived"
    KIT_ERROR = "kit error"


@dataclass(frozen=True)
class MutantResult:
    """A mutant and what became of it.

    Args:
        mutant: the mutant.
        fate: what became of it.
        check: the check that decided, if one did.
        told: what that check told.
        seconds: how long it took.
    """

    mutant: Mutant
    fate: Fate
    check: str = ""
    told: str = ""
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Found wrong: a check that breaks has found nothing."""
        return self.fate in (Fate.KILLED, Fate.TIMED_OUT, Fate.CRASHED)


def judge_mutant(course: Course, mutant: Mutant, seed: int = 0) -> MutantResult:
    """Judge one mutant by the checks of its exercise, up to the first that finds it wrong, in this process."""
    began = monotonic()
    exercise = course.exercise(mutant.exercise)

    def result(fate: Fate, check: str = "", told: str = "") -> MutantResult:
        return MutantResult(mutant, fate, check, told, monotonic() - began)

    try:
        function = mutant.function(course)
        for check, seconds in checks_of(course, exercise):
            verdict = judge(course, exercise, check, Answer(exercise, function, seconds), seed=seed)
            if verdict.state is State.KIT_ERROR:
                return result(Fate.KIT_ERROR, verdict.check, verdict.got)
            if verdict.state in WRONG:
                fate = Fate.TIMED_OUT if verdict.state is State.TIMEOUT else Fate.KILLED
                return result(fate, verdict.check, verdict.got)
    except Exception as error:
        return result(Fate.KIT_ERROR, told=f"{type(error).__name__}: {error}")
    return result(Fate.SURVIVED)


def run_mutants(
    course: Course, exercises: Iterable[Exercise] | None = None, workers: int = 2, seed: int = 0
) -> list[MutantResult]:
    """Judge all mutants of some exercises, each in a worker process.

    Args:
        course: the course.
        exercises: whose mutants; None for all.
        workers: how many processes.
        seed: of the random inputs.

    Returns:
        A result for every mutant, in the order of the exercises and of their code.
    """
    chosen = list(course.exercises if exercises is None else exercises)
    mutants = [mutant for exercise in chosen for mutant in mutants_of(course, exercise)]
    waiting = deque(enumerate(mutants))
    results: dict[int, MutantResult] = {}
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                busy.append(_Worker(course, seed))
                busy[-1].take(*waiting.popleft())
            wait([worker.connection for worker in busy], timeout=0.5)
            for worker in list(busy):
                result = worker.result()
                if result is None:
                    continue
                results[worker.index] = result
                if waiting and worker.alive:
                    worker.take(*waiting.popleft())
                else:
                    worker.end()
                    busy.remove(worker)
    finally:
        for worker in busy:
            worker.end()
    return [results[index] for index in range(len(mutants))]


class _Worker:
    """A process that judges one mutant after the other, and the mutant it has at hand."""

    def __init__(self, course: Course, seed: int) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
        self.connection, theirs = spawn.Pipe()
        self.alive = True
        self.index = -1
        self._course = course
        self._process = spawn.Process(target=_serve, args=(theirs, course, seed))
        with _one_thread_each():
            self._process.start()
        theirs.close()

    def take(self, index: int, mutant: Mutant) -> None:
        limits = [seconds for _, seconds in checks_of(self._course, self._course.exercise(mutant.exercise))]
        self.index, self._mutant, self._began = index, mutant, monotonic()
        self._deadline = self._began + sum(limits) + PATIENCE_SECONDS
        with suppress(BrokenPipeError):
            self.connection.send(mutant)

    def result(self) -> MutantResult | None:
        """What became of the mutant at hand; None as long as nobody knows."""
        if self.connection.poll():
            with suppress(EOFError, ConnectionResetError):
                result: MutantResult = self.connection.recv()
                return result
            fate = Fate.CRASHED
        elif monotonic() > self._deadline:
            fate = Fate.TIMED_OUT
        else:
            return None
        self.alive = False
        return MutantResult(self._mutant, fate, seconds=monotonic() - self._began)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(connection: Connection, course: Course, seed: int) -> None:
    _limit_memory()
    warnings.simplefilter("ignore")
    with suppress(EOFError):
        while True:
            connection.send(judge_mutant(course, connection.recv(), seed))


def _limit_memory() -> None:
    with suppress(ImportError, OSError, ValueError):  # not on Windows, and not on every macOS
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What is started in the block computes with one thread: NumPy and torch read these when they are imported."""
    settings = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ── What the results come to ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Equivalent:
    """A mutant known to be no worse than the solution, and why."""

    exercise: str
    diff: str
    reason: str


@dataclass(frozen=True)
class Survey:
    """What the mutants say about the checks.

    Args:
        results: every mutant's.
        equivalents: the mutants that may survive.
    """

    results: tuple[MutantResult, ...]
    equivalents: tuple[Equivalent, ...]

    @property
    def holes(self) -> list[MutantResult]:
        """Mutants that no check found wrong although nobody has said why they should be right."""
        excused = {(known.exercise, known.diff) for known in self.equivalents}
        survivors = [result for result in self.results if result.fate is Fate.SURVIVED]
        return [result for result in survivors if (result.mutant.exercise, result.mutant.diff) not in excused]

    @property
    def kit_errors(self) -> list[MutantResult]:
        """Mutants on which a check broke instead of judging."""
        return [result for result in self.results if result.fate is Fate.KIT_ERROR]

    @property
    def stale(self) -> list[Equivalent]:
        """Entries for mutants that are now killed or no longer made."""
        survivors = {(r.mutant.exercise, r.mutant.diff) for r in self.results if r.fate is Fate.SURVIVED}
        tried = {result.mutant.exercise for result in self.results}
        listed = [known for known in self.equivalents if known.exercise in tried]
        return [known for known in listed if (known.exercise, known.diff) not in survivors]


def equivalents_of(course: Course, hour: int) -> tuple[Equivalent, ...]:
    """The equivalent mutants of one hour: the `[[mutant]]` tables of its file in `tests/equivalent_mutants/`."""
    name = Path(course.hour(hour).file_name).with_suffix(".toml")
    path = course.root / "tests" / "equivalent_mutants" / name
    if not path.exists():
        return ()
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return tuple(Equivalent(**entry) for entry in entries)
