"""Colours that nearly everybody can tell apart, on paper, on white and in the dark.

Marks are of Okabe and Ito's palette, those of them that stand out by 3 to 1 from light and dark grounds alike.
Numbers become colours by viridis, whose lightness alone orders them; numbers with a sign by a scale from blue over
white to orange. What is printed on a colour is black or white, whichever stands out more: by 4.5 to 1 at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deepdive.grids import Cell, Grid

BLUE, ORANGE, GREEN, PINK = MARKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
PIECES = ("#56b4e9", "#f0c24a", "#5fc4a4", "#e3a3c7", "#f2955b", "#bdbdbd")  # lighter: black text stands on them
ODD = "#d9d9d9"  # the ground of NaN and infinities
_VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
_SIGNED = ("#08519c", "#4292c6", "#9ecae1", "#f7f7f7", "#fdbe85", "#e6550d", "#a63603")
_STEPS = 64  # colours of a scale: the eye sees no more, and cells of one colour are drawn together


@dataclass(frozen=True)
class Scale:
    """Which colour a number has.

    Args:
        least: the number of the first colour; what is less has it, too.
        greatest: that of the last.
        colours: in between, at equal distances.
    """

    least: float
    greatest: float
    colours: Sequence[str] = _VIRIDIS

    def colour(self, number: Cell) -> str:
        """The colour of a cell, `#rrggbb`; of one that is no finite number, `ODD`."""
        if isinstance(number, str):
            return ODD
        return mixed(self.colours, round(self.share(number) * (_STEPS - 1)) / (_STEPS - 1))

    def share(self, number: float) -> float:
        """How far from the least to the greatest a number is, 0 to 1; 0.5 when both are the same."""
        span = self.greatest / 2 - self.least / 2  # of halves, which never overflow
        return min(max((number / 2 - self.least / 2) / span, 0.0), 1.0) if span > 0 else 0.5

    def at(self, share: float) -> float:
        """The number that is so far from the least to the greatest."""
        return self.least * (1 - share) + self.greatest * share


def scale_of(*grids: Grid) -> Scale:
    """From the least to the greatest number of some grids."""
    numbers = [number for grid in grids for number in grid.numbers]
    return Scale(min(numbers, default=0.0), max(numbers, default=0.0))


def signed_scale_of(grid: Grid) -> Scale:
    """As far below 0 as above it, so that white is 0."""
    furthest = max(map(abs, grid.numbers), default=0.0) or 1.0
    return Scale(-furthest, furthest, _SIGNED)


def mixed(colours: Sequence[str], share: float) -> str:
    """The colour that lies at a share, 0 to 1, of the way through some colours."""
    place = share * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    pairs = zip(_channels(colours[first]), _channels(colours[first + 1]), strict=True)
    return _hex(a + (b - a) * (place - first) for a, b in pairs)


def ink_on(ground: str) -> str:
    """Black or white, whichever stands out more from a ground."""
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, ground))


def contrast(one: str, other: str) -> float:
    """How far two colours stand out from each other, 1 to 21, as WCAG 2.2 has it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = [channel / 255 for channel in _channels(colour)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def _hex(channels: Iterable[float]) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)
