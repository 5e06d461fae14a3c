"""A learning curve: how loss, or whatever was measured, went with the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.text import Text

from deepdive.pictures.axes import HEIGHT, RIGHT, WIDTH, Axes, axis_over, short
from deepdive.pictures.bars import bars
from deepdive.pictures.palette import MARKS
from deepdive.pictures.svg import Picture, add, canvas, clean
from deepdive.values import shorten

_DASHES = ("", "7 3", "2 3", "9 3 2 3")  # lines are told apart without their colours, too
_MOST = 400  # points of a line; more of them are thinned out
_BARS = 12  # points of a line in a terminal


def learning_curve(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    title: str = "Learning curve",
    *,
    across: str = "step",
    up: str = "loss",
) -> Picture:
    """Lines over steps.

    Args:
        lines: by name, at most four: (step, value) pairs in order. Values that are NaN or infinite leave a gap, and
            the text says so.
        title: what it is.
        across: what a step is.
        up: what was measured.

    Raises:
        ValueError: more than four lines; the message shows how many.
    """
    if len(lines) > len(MARKS):
        raise ValueError(f"at most {len(MARKS)} lines can be told apart, got {len(lines)}")
    finite = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in lines.items()}
    told = " ".join(_told(name, len(lines[name]), points) for name, points in finite.items()) or "No lines."
    root = canvas(title, told, WIDTH, HEIGHT, grow=1.4)
    steps, values = ([p[axis] for points in finite.values() for p in points] for axis in (0, 1))
    axes = Axes(axis_over(across, steps, margin=0.02), axis_over(up, values))
    axes.draw(root)
    for place, (name, points) in enumerate(lines.items()):
        colour = MARKS[place]
        thinned = points[:: -(-len(points) // _MOST) or 1]
        path, pen = "", "M"
        for step, value in thinned:
            if math.isfinite(step) and math.isfinite(value):
                path += f"{pen}{axes.x(step):.1f} {axes.y(value):.1f}"
                pen = "L"
            else:
                pen = "M"
        line = add(root, "path", class_="line", d=path, fill="none", stroke=colour, stroke_width=2)
        line.set("stroke-dasharray", _DASHES[place])
        y = 16 + 16 * place
        key = add(root, "line", x1=WIDTH - RIGHT - 30, x2=WIDTH - RIGHT, y1=y, y2=y, stroke=colour, stroke_width=2)
        key.set("stroke-dasharray", _DASHES[place])
        add(root, "text", name, x=WIDTH - RIGHT - 36, y=y + 4, font_size=11, text_anchor="end")
    return Picture(title, told, root, _terminal(finite))


def _terminal(lines: Mapping[str, Sequence[tuple[float, float]]]) -> Text:
    """A bar for some points of each line."""
    some = {name: points[:: -(-len(points) // _BARS) or 1] for name, points in lines.items()}
    names = [f"{shorten(clean(name), 30)} {short(step)}" for name, points in some.items() for step, _ in points]
    return bars(names, [max(float(f"{value:.3g}"), 0.0) for points in some.values() for _, value in points])


def _told(name: str, many: int, points: Sequence[tuple[float, float]]) -> str:
    odd = f" NaN or infinite {many - len(points)} times: the line has gaps there." if many > len(points) else ""
    if not points:
        return f"{name}: no values.{odd}"
    (first, begin), (last, end) = points[0], points[-1]
    at, least = min(points, key=lambda point: point[1])
    said = f"{name}: {begin:.3g} at {short(first)}, {end:.3g} at {short(last)}, lowest {least:.3g} at {short(at)}."
    return said + odd
