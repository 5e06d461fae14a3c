"""Two axes to draw in: round numbers along them, and where a value stands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from deepdive.pictures.svg import add

WIDTH, HEIGHT = 360, 240
RIGHT, TOP, BOTTOM = 18, 14, 40
_CHARACTER = 6.6  # pixels, of the numbers
FAINT = "0.25"  # opacity of lines that only lead the eye


@dataclass(frozen=True)
class Axis:
    """One axis: what it measures, and from where to where.

    Args:
        name: with its unit, `time / ms`.
        least: the value at its beginning.
        greatest: that at its end.
    """

    name: str
    least: float
    greatest: float

    def share(self, value: float) -> float:
        """How far along the axis a value stands, 0 to 1."""
        return (value - self.least) / (self.greatest - self.least)

    def step(self, about: int) -> float:
        """1, 2 or 5 times a power of ten, so that about so many of them make the axis."""
        raw = (self.greatest - self.least) / about
        power = 10.0 ** math.floor(math.log10(raw))
        return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values along the axis, in equal steps."""
        step = self.step(about)
        first, last = math.ceil(self.least / step - 1e-9), math.floor(self.greatest / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def axis_over(name: str, values: list[float], *, margin: float = 0.05) -> Axis:
    """An axis that holds all of some values, and a little more on either side."""
    least, greatest = min(values, default=0.0), max(values, default=1.0)
    more = (greatest - least) * margin or max(abs(greatest), 1.0) * margin
    return Axis(name, least - more, greatest + more)


@dataclass(frozen=True)
class Axes:
    """Both axes, in the room that a chart leaves them."""

    across: Axis
    up: Axis

    @property
    def left(self) -> float:
        """Where the drawing begins: right of the upward axis's name and numbers."""
        return 28 + _CHARACTER * max(len(short(value)) for value in self.up.ticks())

    def x(self, value: float) -> float:
        return self.left + (WIDTH - self.left - RIGHT) * self.across.share(value)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * self.up.share(value)

    def draw(self, root: ET.Element) -> None:
        """The axes with their names, and faint lines at the round values of the upward one."""
        left, right, bottom = self.left, WIDTH - RIGHT, HEIGHT - BOTTOM
        for value in self.up.ticks():
            y = self.y(value)
            add(root, "line", x1=left, x2=right, y1=y, y2=y, stroke="currentColor", stroke_opacity=FAINT)
            add(root, "text", short(value), x=left - 6, y=y + 4, text_anchor="end", font_size=11)
        for value in self.across.ticks():
            x = self.x(value)
            add(root, "line", x1=x, x2=x, y1=bottom, y2=bottom + 4, stroke="currentColor")
            add(root, "text", short(value), x=x, y=bottom + 16, text_anchor="middle", font_size=11)
        add(root, "line", x1=left, x2=right, y1=bottom, y2=bottom, stroke="currentColor")
        add(root, "text", self.across.name, x=(left + right) / 2, y=HEIGHT - 6, text_anchor="middle")
        middle = f"translate(12 {(TOP + bottom) / 2:g}) rotate(-90)"
        add(root, "text", self.up.name, transform=middle, text_anchor="middle")


def short(value: float) -> str:
    """A round number, without zeros that say nothing."""
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:.3g}"
