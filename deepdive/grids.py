"""Arrays made small enough to keep with a verdict and to draw: at most 64 by 64 cells.

Any array becomes a table. Its last two axes are rows and columns; slices along the axes before them stand one below
the other, but of two such axes or more the last one's stand side by side. What is larger than 64 is cut into blocks,
a cell each: the mean of the block, or, of a difference, what is furthest from 0, so that no difference is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np

MOST = 64  # cells along either side
_MOST_VALUES = 1_000_000  # of an array that is looked at; a hostile answer's may be as large as the wire allows
_ROUNDING = 1e-6  # relative; floats that differ by less are the same number, as `expect` has it, too
NAN, INFINITE, MINUS_INFINITE = "nan", "inf", "-inf"

# A number; or, for JSON knows no others, one of the three texts above.
Cell = float | str


class Grid(msgspec.Struct, frozen=True, omit_defaults=True):
    """An array as a table of cells.

    Args:
        kind: what the array is, `float64[2,3,5]`.
        cells: rows of cells, numbers rounded to four digits.
        slices: after how many rows and columns of cells the next slice along a leading axis begins; 0: there is one.
        block: how many rows and columns of the table are in a cell.
        nan: how many values of the array are NaN; a block with one of them is NaN.
        infinite: how many are infinite.
        least: the least finite value of the array; None when there is none.
        greatest: the greatest finite value.
    """

    kind: str
    cells: list[list[Cell]]
    slices: tuple[int, int] = (0, 0)
    block: tuple[int, int] = (1, 1)
    nan: int = 0
    infinite: int = 0
    least: float | None = None
    greatest: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return len(self.cells), len(self.cells[0])

    @property
    def numbers(self) -> list[float]:
        """The cells that are finite."""
        return [cell for row in self.cells for cell in row if not isinstance(cell, str)]


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was expected, what came, and, where the shapes agree, what came less what was expected."""

    expected: Grid
    got: Grid
    difference: Grid | None = None


def grid_of(array: Any, *, furthest: bool = False) -> Grid | None:
    """An array or tensor as a grid; None when it has fewer than two values, or none that are real numbers.

    Args:
        array: of numbers or of True and False.
        furthest: let a block be its value furthest from 0 instead of its mean.
    """
    import numpy as np

    from deepdive.values import as_numpy, kind

    values = as_numpy(array)
    if values.dtype.kind not in "fiub" or values.size < 2:
        return None
    table, slices = _table(values.astype(np.float64))
    block = (-(-table.shape[0] // MOST), -(-table.shape[1] // MOST))
    finite = table[np.isfinite(table)]
    return Grid(
        kind=kind(array),
        cells=_cells(table, block, furthest=furthest),
        slices=slices if block == (1, 1) else (0, 0),
        block=block,
        nan=int(np.isnan(table).sum()),
        infinite=int(np.isinf(table).sum()),
        least=_rounded(finite.min()) if finite.size else None,
        greatest=_rounded(finite.max()) if finite.size else None,
    )


def compare(expected: Any, got: Any) -> Comparison | None:
    """Two arrays side by side; None when one of them cannot be drawn."""
    import numpy as np

    from deepdive.values import as_numpy

    a, b = as_numpy(expected), as_numpy(got)
    if max(a.size, b.size) > _MOST_VALUES:
        return None
    left, right = grid_of(expected), grid_of(got)
    if left is None or right is None:
        return None
    if a.shape != b.shape:
        return Comparison(left, right)
    rounding = _ROUNDING if a.dtype.kind == "f" else 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        same = np.isclose(b, a, rtol=rounding, atol=rounding / 1000, equal_nan=True)
        return Comparison(left, right, grid_of(np.where(same, 0.0, b - a), furthest=True))


def _table(values: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """An array laid out in rows and columns, and the rows and columns of one slice of it."""
    if values.ndim < 2:
        return values.reshape(1, -1), (0, 0)
    rows, columns = values.shape[-2:]
    if values.ndim == 2:
        return values, (0, 0)
    if values.ndim == 3:
        return values.reshape(-1, columns), (rows, 0)
    beside = values.shape[-3]
    table = values.swapaxes(-3, -2).reshape(-1, beside * columns)
    return table, (rows, columns)


def _cells(table: np.ndarray, block: tuple[int, int], *, furthest: bool) -> list[list[Cell]]:
    import numpy as np

    starts = [np.arange(0, length, step) for length, step in zip(table.shape, block, strict=True)]

    def each(combine: np.ufunc, of: np.ndarray) -> np.ndarray:
        return combine.reduceat(combine.reduceat(of, starts[0], axis=0), starts[1], axis=1)

    usable = np.where(np.isfinite(table), table, 0.0)
    if furthest:
        low, high = each(np.minimum, usable), each(np.maximum, usable)
        values = np.where(-low > high, low, high)
    else:
        with np.errstate(over="ignore"):  # the sums of the very largest floats
            means = each(np.add, usable) / each(np.add, np.ones(table.shape))
        values = np.clip(means, usable.min(), usable.max())
    odd = [(NAN, np.isnan(table)), (INFINITE, table == np.inf), (MINUS_INFINITE, table == -np.inf)]
    marks = [(name, each(np.logical_or, found)) for name, found in odd if found.any()]
    return [
        [
            next((name for name, found in marks if found[row, column]), _rounded(value))
            for column, value in enumerate(of)
        ]
        for row, of in enumerate(values)
    ]


def _rounded(value: float) -> float:
    rounded = float(f"{value:.4g}")
    return rounded if abs(rounded) < float("inf") else float(value)  # the very largest floats would be rounded to ∞
