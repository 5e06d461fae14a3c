"""How two values differ: type, then shape, then dtype, then finiteness, then values.

`find` stops at the first of these that is wrong, for there is no use in comparing the values of arrays
whose shapes differ. `characterise` then asks what kind of difference it is: a transpose, a constant
factor, an order, a shift by one; what it says is true of every value, or it says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from deepdive.values import as_numpy, is_array, is_leaf, is_number, kind, number, preview

_KINDS = {"f": "floating point", "i": "integer", "u": "integer", "b": "boolean", "c": "complex", "O": "object"}


@dataclass(frozen=True)
class Tolerance:
    """Values agree when |got − expected| ≤ atol + rtol · |expected|; both 0 means exactly."""

    atol: float = 0.0
    rtol: float = 0.0


@dataclass(frozen=True)
class Difference:
    """The first thing found wrong, and where it is in a nested value (`['k']`, `[1]`; empty at the top).

    Of two arrays that differ, `arrays` holds both, the expected one first.
    """

    where: str
    expected: str
    got: str
    remark: str = ""
    arrays: tuple[Any, Any] | None = field(default=None, compare=False, repr=False)


def find(expected: Any, got: Any, tolerance: Tolerance, where: str = "") -> Difference | None:
    """The first difference between two plain values, or None when they agree."""
    if is_array(expected):
        return _array(expected, got, tolerance, where)
    if is_number(expected):
        return _number(expected, got, tolerance, where)
    if isinstance(expected, dict):
        return _dict(expected, got, tolerance, where)
    if isinstance(expected, list | tuple):
        return _sequence(expected, got, tolerance, where)
    if expected is got:
        return None
    if is_leaf(expected) and type(expected) is type(got) and expected == got:
        return None
    if isinstance(expected, bool) and isinstance(got, np.bool_) and expected == bool(got):
        return None
    return Difference(where, _full(expected), _full(got))


def _full(value: Any) -> str:
    text = kind(value)
    shown = preview(value)
    return f"{text}  {shown}" if shown and not isinstance(value, str | bytes) else text


def _array(expected: Any, got: Any, tolerance: Tolerance, where: str) -> Difference | None:
    if not is_array(got):
        if is_number(got) and expected.ndim == 0:
            got = np.asarray(got)
        else:
            hint = "" if not isinstance(got, list | tuple) else "a list is no array: np.array(…) makes one"
            return Difference(where, _full(expected), _full(got), hint)
    right, mine = as_numpy(expected), as_numpy(got)
    if right.shape != mine.shape:
        return Difference(where, _full(expected), _full(got), _shape_remark(right, mine), (expected, got))
    if _family(right) != _family(mine):
        wanted = _KINDS.get(right.dtype.kind, str(right.dtype))
        return Difference(where, _full(expected), _full(got), f"the dtype should be {wanted}", (expected, got))
    odd = np.isfinite(right) & ~np.isfinite(mine) if mine.dtype.kind == "f" else np.zeros(mine.shape, bool)
    if odd.any():
        what = "NaN" if np.isnan(mine[odd]).any() else "infinite"
        at = np.argwhere(odd)[0]
        remark = f"{int(odd.sum())} of {mine.size} values {what}, first at {_at(at)}"
        return Difference(where, *_side_by_side(expected, got, at), remark, (expected, got))
    wrong = disagreement(right, mine, tolerance)
    if not wrong.any():
        return None
    worst, remark = _worst(right, mine, wrong)
    return Difference(where, *_side_by_side(expected, got, worst), remark, (expected, got))


def _side_by_side(expected: Any, got: Any, at: np.ndarray) -> tuple[str, str]:
    """Both arrays described: their first values, or the values around `at` where the first ones are the same.

    The expected one is shown with the dtype of the other: which float it is, is not what is wrong here.
    """
    right, mine = as_numpy(expected), as_numpy(got)
    shown = right.astype(mine.dtype)
    if preview(shown) != preview(mine):
        return _full(shown), _full(got)
    place = f"at {_at(at)}: " if len(at) else ""
    return f"{kind(shown)}  {place}{_window(right, at)}", f"{kind(got)}  {place}{_window(mine, at)}"


def _window(array: np.ndarray, index: np.ndarray) -> str:
    """The value at `index` and the two that follow it along the last axis."""
    if array.ndim == 0:
        return number(array[()])
    row, at = array[tuple(index[:-1])], int(index[-1])
    return ", ".join(number(v) for v in row[at : at + 3]) + (", …" if at + 3 < len(row) else "")


def _family(array: np.ndarray) -> str:
    return {"u": "i"}.get(array.dtype.kind, array.dtype.kind)


def disagreement(expected: np.ndarray, got: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    """Elementwise: does `got` disagree? NaN agrees with NaN, an infinity with the same infinity."""
    if expected.dtype.kind not in "fc" or not (tolerance.atol or tolerance.rtol):
        same = expected == got
        if expected.dtype.kind in "fc":
            same |= np.isnan(expected) & np.isnan(got)
        return ~np.asarray(same)
    wide = np.result_type(expected.dtype, got.dtype, np.float64)
    close = np.isclose(got.astype(wide), expected.astype(wide), tolerance.rtol, tolerance.atol, equal_nan=True)
    return ~np.asarray(close)


def _worst(expected: np.ndarray, got: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, str]:
    count = f"{int(wrong.sum())} of {wrong.size} values differ" if wrong.size > 1 else "it differs"
    if expected.dtype.kind in "fiu":
        with np.errstate(all="ignore"):
            gap = np.abs(got.astype(np.float64) - expected.astype(np.float64))
        gap = np.where(wrong, np.nan_to_num(gap, nan=np.inf, posinf=np.inf), -1.0)
        worst = np.unravel_index(int(gap.argmax()), gap.shape)
        by = gap[worst]
        size = f", the worst by {by:.2g}" if np.isfinite(by) else ""
        return np.array(worst), f"{count}{size} at {_at(worst)}" if expected.ndim else f"{count} by {by:.2g}"
    first = np.argwhere(wrong)[0]
    return first, f"{count}, the first at {_at(first)}" if expected.ndim else count


def _at(index: Any) -> str:
    return f"[{','.join(str(int(i)) for i in index)}]"


def _shape_remark(expected: np.ndarray, got: np.ndarray) -> str:
    if got.dtype.kind in "fiub" and expected.ndim == got.ndim:
        for a, b in combinations(range(expected.ndim), 2):
            if got.swapaxes(a, b).shape == expected.shape:
                return f"the shape has axes {a} and {b} swapped"
    if got.size == expected.size:
        return "the right number of values in another shape"
    return "the shape differs"


def _number(expected: Any, got: Any, tolerance: Tolerance, where: str) -> Difference | None:
    if isinstance(got, np.ndarray) and got.ndim == 0 and got.dtype.kind in "fiu":
        got = got.item()
    if not is_number(got):
        return Difference(where, _full(expected), _full(got))
    if isinstance(expected, int | np.integer) and not isinstance(got, int | np.integer):
        return Difference(where, _full(expected), _full(got), "a whole number is asked for")
    gap = abs(complex(got) - complex(expected))
    if got == expected or gap <= tolerance.atol + tolerance.rtol * abs(expected):
        return None
    return Difference(where, kind(expected), kind(got), f"it differs by {gap:.2g}" if np.isfinite(gap) else "")


def _dict(expected: dict[Any, Any], got: Any, tolerance: Tolerance, where: str) -> Difference | None:
    if not isinstance(got, dict):
        return Difference(where, _full(expected), _full(got))
    if missing := [key for key in expected if key not in got]:
        return Difference(
            where, f"a dict with {_keys(expected)}", f"a dict with {_keys(got)}", f"no {_keys(missing)}"
        )
    if extra := [key for key in got if key not in expected]:
        return Difference(
            where, f"a dict with {_keys(expected)}", f"a dict with {_keys(got)}", f"{_keys(extra)} too many"
        )
    found = (find(value, got[key], tolerance, f"{where}[{key!r}]") for key, value in expected.items())
    return next((difference for difference in found if difference), None)


def _keys(keys: Any) -> str:
    return ", ".join(map(repr, list(keys)[:6])) + (", …" if len(keys) > 6 else "") or "no keys"


def _sequence(expected: Any, got: Any, tolerance: Tolerance, where: str) -> Difference | None:
    if not isinstance(got, list | tuple):
        return Difference(where, _full(expected), _full(got))
    for index, (right, mine) in enumerate(zip(expected, got, strict=False)):
        if difference := find(right, mine, tolerance, f"{where}[{index}]"):
            if len(expected) == len(got):
                return difference
            break
    if len(expected) != len(got):
        return Difference(
            where,
            f"{len(expected)} items  {preview(expected)}",
            f"{len(got)} items  {preview(got)}",
            "the lengths differ",
        )
    return None


def characterise(expected: Any, got: Any, tolerance: Tolerance) -> str:
    """What kind of difference lies between two values, as one sentence; empty when none of them is it."""
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        if all(is_array(item) or isinstance(item, dict | list | tuple) for item in expected):
            if len(expected) != len(got):
                return ""
            pairs = zip(expected, got, strict=True)
            return next((said for a, b in pairs if (said := characterise(a, b, tolerance))), "")
        return _characterise_list(list(expected), list(got))
    if isinstance(expected, dict) and isinstance(got, dict):
        return next((s for k in expected if k in got and (s := characterise(expected[k], got[k], tolerance))), "")
    if not (is_array(expected) and is_array(got)):
        return ""
    right, mine = as_numpy(expected), as_numpy(got)
    if mine.dtype.kind not in "fiub" or right.dtype.kind not in "fiub" or mine.size < 2:
        return ""

    def agree(a: np.ndarray, b: np.ndarray) -> bool:
        return a.shape == b.shape and not disagreement(a, b, tolerance).any()

    if agree(right, mine):
        return ""
    with np.errstate(all="ignore"):
        return next((sentence for test in _TESTS for sentence in test(right, mine, agree) if sentence), "")


Agree = Callable[[np.ndarray, np.ndarray], bool]


def _transposed(right: np.ndarray, mine: np.ndarray, agree: Agree) -> Iterator[str]:
    if mine.ndim == right.ndim:
        for a, b in combinations(range(mine.ndim), 2):
            if agree(right, mine.swapaxes(a, b)):
                yield f"The values are right, but axes {a} and {b} are swapped."


def _reshaped(right: np.ndarray, mine: np.ndarray, agree: Agree) -> Iterator[str]:
    if mine.shape != right.shape and mine.size == right.size and agree(right, mine.reshape(right.shape)):
        yield f"The values are right, but the shape should be {list(right.shape)}, not {list(mine.shape)}."


def _inverted(right: np.ndarray, mine: np.ndarray, agree: Agree) -> Iterator[str]:
    if mine.shape == right.shape and mine.dtype == bool == right.dtype and agree(right, ~mine):
        yield "Every value is inverted: True where False should be."


def _scaled(right: np.ndarray, mine: np.ndarray, agree: Agree) -> Iterator[str]:
    if mine.shape != right.shape or right.dtype.kind != "f" or mine.dtype.kind != "f":
        return
    usable = np.isfinite(right) & np.isfinite(mine) & (np.abs(right) > 1e-9)
    if usable.sum() < 2:
        return
    factor = float(np.median(mine[usable] / right[usable]))
    if factor and np.isfinite(factor) and agree(right, (mine / factor).astype(mine.dtype)):
        yield (
            "Every value has the wrong sign."
            if factor == -1
            else f"Every value is {factor:.4g} times what it should be."
        )
    shift = float(np.median(mine[usable] - right[usable]))
    if shift and agree(right, (mine - shift).astype(mine.dtype)):
        yield f"Every value is off by the same amount, {shift:.4g}."


def _shifted(right: np.ndarray, mine: np.ndarray, agree: Agree) -> Iterator[str]:
    if mine.shape != right.shape:
        return
    for axis in range(right.ndim):
        if right.shape[axis] < 3:
            continue
        early = np.s_[(slice(None),) * axis + (slice(None, -1),)]
        late = np.s_[(slice(None),) * axis + (slice(1, None),)]
        if agree(right[early], mine[late]):
            yield f"Off by one: along axis {axis} every value stands one place too late."
        if agree(right[late], mine[early]):
            yield f"Off by one: along axis {axis} every value stands one place too early."


def _reordered(right: np.ndarray, mine: np.ndarray, agree: Agree) -> Iterator[str]:
    if mine.shape != right.shape or len(np.unique(right)) < 3:
        return
    for axis in range(right.ndim):
        if right.shape[axis] > 1 and agree(right, np.flip(mine, axis)):
            yield f"The values are right, but in reverse order along axis {axis}."
    if agree(np.sort(right, axis=None), np.sort(mine, axis=None)):
        yield "The right values, all of them, in the wrong places."


def _characterise_list(expected: list[Any], got: list[Any]) -> str:
    if expected == got:
        return ""
    if got == expected[::-1]:
        return "The right items in reverse order."
    if len(expected) == len(got) and sorted(map(repr, expected)) == sorted(map(repr, got)):
        return "The right items in another order."
    if got == expected[:-1]:
        return "The last item is missing."
    if got == expected[1:]:
        return "The first item is missing."
    return ""


_TESTS = (_transposed, _reshaped, _inverted, _scaled, _shifted, _reordered)


def share_right(remark: str) -> str:
    """`97 of 180 values differ` as the share that is right, when most of them are."""
    if match := re.match(r"(\d+) of (\d+) values differ", remark):
        wrong, total = int(match[1]), int(match[2])
        if total >= 8 and wrong <= total / 4:
            return f"{1 - wrong / total:.0%} of the values are right: look at what the wrong ones have in common."
    return ""
