"""What can be changed: each operator gives, for one node of a syntax tree, the nodes that may stand there instead.

An operator may give a node that another one gives as well, or one that reads like the original. Whoever asks for the
nodes leaves those out.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

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

_SAME_FOR_SIZES = ({ast.Eq, ast.LtE}, {ast.NotEq, ast.Gt})  # against 0, which no size is below

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
    """`a + b` becomes `a - b`, `a @ b` becomes `a * b`, `a & b` becomes `a | b`, and so on."""
    if isinstance(node, ast.BinOp | ast.AugAssign):
        for other in _ARITHMETIC.get(type(node.op), ()):
            yield _with(node, op=other())


def operand_dropped(node: ast.AST) -> Iterator[ast.AST]:
    """`a + b` becomes `a`, and it becomes `b`; so does `a or b`."""
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    if isinstance(node, ast.BoolOp):
        for rest in _each_left_out(node.values):
            yield _with(node, values=rest) if len(rest) > 1 else rest[0]


def operands_swapped(node: ast.AST) -> Iterator[ast.AST]:
    """`a - b` becomes `b - a`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ORDERED):
        yield _with(node, left=node.right, right=node.left)


def comparison(node: ast.AST) -> Iterator[ast.AST]:
    """`a < b` becomes `a <= b`, `a != b` and `a >= b`, and so on."""
    if isinstance(node, ast.Compare):
        for index, op in enumerate(node.ops):
            for other in _COMPARISONS[type(op)]:
                if not (_is_size_against_zero(node) and {type(op), other} in _SAME_FOR_SIZES):
                    yield _with(node, ops=[*node.ops[:index], other(), *node.ops[index + 1 :]])


def _is_size_against_zero(node: ast.Compare) -> bool:
    text = ast.unparse(node.left)
    is_size = text.endswith((".size", ".ndim")) or text.startswith(("len(", "np.size(", "np.ndim("))
    return is_size and _number_in(node.comparators[0]) == 0


def connective(node: ast.AST) -> Iterator[ast.AST]:
    """`a or b` becomes `a and b`."""
    if isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def sign_dropped(node: ast.AST) -> Iterator[ast.AST]:
    """`-a`, `~a` and `not a` become `a`."""
    if isinstance(node, ast.UnaryOp) and not is_negative_number(node):
        yield node.operand


def number(node: ast.AST) -> Iterator[ast.AST]:
    """`2` becomes 3, 1, 0 and -2; `0.5` a tenth more, 0 and -0.5; `True` becomes `False`."""
    value = _number_in(node)
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield from map(_literal, (value + 1, value - 1, 0, -value))
    elif isinstance(value, float) and value:
        # What is as small as 1e-5 is a safeguard, and right to the order of magnitude.
        factors = (10, 0.1, 0, -1) if abs(value) < 1e-3 else (1.1, 0, -1)
        yield from (_literal(float(f"{factor * value:.6g}")) for factor in factors)


def slice_shifted(node: ast.AST) -> Iterator[ast.AST]:
    """`x[:n]` becomes `x[1:n]`, `x[:n + 1]` and `x[:]`."""
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
    """`f(a, b, c=d)` becomes `f(a, b)` and `f(a, c=d)`."""
    if isinstance(node, ast.Call):
        for rest in _each_left_out(node.keywords):
            yield _with(node, keywords=rest)
        if len(node.args) > 1:
            yield _with(node, args=node.args[:-1])


def arguments_swapped(node: ast.AST) -> Iterator[ast.AST]:
    """`f(a, b)` becomes `f(b, a)`."""
    if isinstance(node, ast.Call) and not (len(node.args) == 2 and _name_of(node.func) in _SYMMETRIC):
        for swapped in _neighbours_swapped(node.args):
            yield _with(node, args=swapped)


def call_unwrapped(node: ast.AST, modules: frozenset[str] = frozenset()) -> Iterator[ast.AST]:
    """`x.swapaxes(1, 2)` becomes `x`, and `np.exp(x)` becomes `x`."""
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield node.value
    if isinstance(node, ast.Call) and _name_of(node.func) not in _CONVERSIONS:
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func).split(".")[0] not in modules:
            yield node.func.value
        elif node.args:
            yield node.args[0]


def name_swapped(node: ast.AST) -> Iterator[ast.AST]:
    """`max` becomes `min`, `np.zeros` becomes `np.ones`, and so on."""
    if isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield _with(node, attr=_NAMES[node.attr])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMES:
        yield _with(node, func=ast.Name(_NAMES[node.func.id], ast.Load()))


def element_dropped(node: ast.AST) -> Iterator[ast.AST]:
    """`for x in (a, b)` becomes `for x in (a,)` and `for x in (b,)`; so does `x in (a, b)`."""
    if isinstance(node, ast.For | ast.comprehension):
        yield from (_with(node, iter=shorter) for shorter in _shorter(node.iter))
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        yield from (_with(node, comparators=[s, *node.comparators[1:]]) for s in _shorter(node.comparators[0]))


def statement_deleted(node: ast.AST) -> Iterator[ast.AST]:
    """A statement becomes `pass`: an assignment, a check of the input, a `return`."""
    kinds = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return | ast.Raise | ast.Delete | ast.For
    if isinstance(node, kinds):
        yield ast.Pass()


def return_swapped(node: ast.AST) -> Iterator[ast.AST]:
    """`return a, b` becomes `return b, a`."""
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        for swapped in _neighbours_swapped(node.value.elts):
            yield _with(node, value=_with(node.value, elts=swapped))


def condition_negated(node: ast.AST) -> Iterator[ast.AST]:
    """`if a or b` becomes `if not (a or b)`; a single comparison has its opposite from `comparison`."""
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def branch_forced(node: ast.AST) -> Iterator[ast.AST]:
    """`if a` becomes `if True` and `if False`; `a if c else b` becomes `a` and `b`."""
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
    """`raise ValueError(…)` becomes `raise TypeError(…)`."""
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


def operators_given(modules: frozenset[str]) -> dict[str, Operator]:
    """The operators, for code in which these names are modules: unwrapped, `np.exp(x)` is `x` and not `np`."""
    return OPERATORS | {"call unwrapped": partial(call_unwrapped, modules=modules)}


# ── Reading and writing syntax ──────────────────────────────────────────────────────────────────────────────────


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


def is_negative_number(node: ast.AST) -> bool:
    """`-1`, which Python parses as a sign before a number."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _number_in(node: ast.AST) -> bool | int | float | None:
    """The value of a number as it stands in the code, `-1` included; None for all else."""
    if isinstance(node, ast.UnaryOp) and is_negative_number(node):
        value = _number_in(node.operand)
        return None if value is None or isinstance(value, bool) else -value
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int | float) else None


def _literal(value: int | float) -> ast.expr:
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
