"""What a smaller or faster model costs: latency, accuracy and size of each, in one chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from deepdive.pictures.axes import HEIGHT, WIDTH, Axes, axis_over
from deepdive.pictures.palette import MARKS, ink_on
from deepdive.pictures.svg import Picture, add, canvas
from deepdive.values import shorten

_LARGEST, _SMALLEST = 24, 8  # pixels, radii; a number has to fit into the smallest
_LINE = 17  # pixels, of the list below


@dataclass(frozen=True)
class Model:
    """One model, measured.

    Args:
        name: what it is called.
        milliseconds: that one request takes, p50 say.
        accuracy: 0 to 1.
        megabytes: its size on disk.
    """

    name: str
    milliseconds: float
    accuracy: float
    megabytes: float

    @property
    def measured(self) -> bool:
        return all(map(math.isfinite, (self.milliseconds, self.accuracy, self.megabytes)))

    def __str__(self) -> str:
        return f"{self.name}: {self.milliseconds:.3g} ms, {self.accuracy:.1%} right, {self.megabytes:.3g} MB"


def tradeoff(models: Sequence[Model], title: str = "Latency, accuracy and size") -> Picture:
    """Models by latency and accuracy, as circles whose areas are their sizes: up and to the left is better.

    Each has a number, and below stands whose it is. A model with a NaN stands only there.
    """
    drawn = [(number, model) for number, model in enumerate(models, start=1) if model.measured]
    told = "; ".join(map(str, models)) + "." if models else "No models."
    if len(drawn) < len(models):
        told += f" Not measured, and not drawn: {len(models) - len(drawn)}."
    root = canvas(title, told, WIDTH, HEIGHT + 8 + _LINE * len(models), grow=1.4)
    across = axis_over("milliseconds a request", [m.milliseconds for _, m in drawn], margin=0.2)
    axes = Axes(across, axis_over("accuracy", [m.accuracy for _, m in drawn], margin=0.35))
    axes.draw(root)
    largest = max((m.megabytes for _, m in drawn), default=1.0) or 1.0
    for number, model in sorted(drawn, key=lambda pair: -pair[1].megabytes):  # the small ones on top
        colour, (x, y) = MARKS[(number - 1) % len(MARKS)], (axes.x(model.milliseconds), axes.y(model.accuracy))
        radius = max(_LARGEST * math.sqrt(model.megabytes / largest), _SMALLEST)
        add(root, "circle", cx=x, cy=y, r=radius, fill=colour, stroke="currentColor")
        add(root, "text", str(number), x=x, y=y + 4, fill=ink_on(colour), font_size=11, text_anchor="middle")
    for number, model in enumerate(models, start=1):
        colour, y = MARKS[(number - 1) % len(MARKS)], HEIGHT + _LINE * number - 4
        add(root, "circle", cx=16, cy=y - 4, r=_SMALLEST, fill=colour)
        add(root, "text", str(number), x=16, y=y, fill=ink_on(colour), font_size=11, text_anchor="middle")
        add(root, "text", shorten(str(model), 52), x=30, y=y, font_size=11)
    note = "Up and to the left is better; a circle's area is the model's size."
    return Picture(title, told, root, _table(models), note=note)


def _table(models: Sequence[Model]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("", "ms", "accuracy", "MB"):
        table.add_column(name, justify="right" if name else "left")
    for m in models:
        table.add_row(Text(shorten(m.name, 40)), f"{m.milliseconds:.3g}", f"{m.accuracy:.1%}", f"{m.megabytes:.3g}")
    return table
