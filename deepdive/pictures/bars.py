"""Bars: how often values lie where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.text import Text

from deepdive.pictures.axes import HEIGHT, TOP, WIDTH, Axes, Axis, short
from deepdive.pictures.palette import BLUE, ORANGE
from deepdive.pictures.svg import Picture, add, canvas

_BAR = 40  # characters of the longest bar in a terminal


def histogram(
    values: Sequence[float],
    title: str,
    unit: str,
    *,
    of: str = "values",
    marks: Mapping[str, float] | None = None,
    bins: int = 20,
    by: str = "",
) -> Picture:
    """How many values lie in each of some intervals of equal and round width.

    Args:
        values: numbers; what is NaN or infinite is left out, and the text says so.
        title: what it is.
        unit: of the values.
        of: what is counted, in the plural.
        marks: values to be marked by a line, by what they are called: `{"limit": 512}`.
        bins: about how many intervals.
        by: whose function made the numbers.
    """
    finite = [float(value) for value in values if math.isfinite(value)]
    marks = dict(marks or {})
    everything = [*finite, *marks.values()] or [0.0]
    least, greatest = min(everything), max(everything)
    step = Axis(unit, least, greatest if greatest > least else least + 1).step(bins)
    first, last = math.floor(least / step + 1e-9), math.floor(greatest / step + 1e-9)
    counts = [0] * (last - first + 1)
    for value in finite:
        counts[math.floor(value / step + 1e-9) - first] += 1
    starts = [(first + index) * step for index in range(len(counts))]
    told = _told(finite, len(values) - len(finite), starts, step, counts, unit, of, marks)
    root = canvas(title, told, WIDTH, HEIGHT, grow=1.4)
    axes = Axes(Axis(unit, starts[0], starts[-1] + step), Axis(of, 0, max([1, *counts]) * 1.1))
    axes.draw(root)
    for start, count in zip(starts, counts, strict=True):
        x, y = axes.x(start), axes.y(count)
        wide = axes.x(start + step) - x
        add(root, "rect", class_="bar", x=x + 0.5, y=y, width=wide - 1, height=axes.y(0) - y, fill=BLUE)
    for place, (name, value) in enumerate(sorted(marks.items(), key=lambda item: item[1])):
        x, y = axes.x(value), TOP + 2 + 14 * place
        add(root, "line", x1=x, x2=x, y1=TOP - 6, y2=axes.y(0), stroke=ORANGE, stroke_width=2, stroke_dasharray="5 3")
        late = axes.across.share(value) > 0.7
        label = f"{name} {short(value)}"
        add(root, "text", label, x=x + (-5 if late else 5), y=y, font_size=11, text_anchor="end" if late else "start")
    return Picture(title, told, root, bars([f"{short(start)}–" for start in starts], counts), by, told)


def bars(names: Sequence[str], counts: Sequence[float]) -> Text:
    """Horizontal bars for a terminal, each with its name and number."""
    wide, top = max(map(len, names), default=0), max([*counts, 1e-9])
    text = Text(no_wrap=True, overflow="crop")
    for index, (name, count) in enumerate(zip(names, counts, strict=True)):
        text.append(("\n" if index else "") + name.rjust(wide) + " ")
        text.append("█" * round(_BAR * count / top), style=BLUE)
        text.append(f" {short(count)}")
    return text


def _told(
    finite: Sequence[float],
    odd: int,
    starts: Sequence[float],
    step: float,
    counts: Sequence[int],
    unit: str,
    of: str,
    marks: Mapping[str, float],
) -> str:
    if not finite:
        return f"No {of}." + (f" NaN or infinite, and left out: {odd}." if odd else "")
    middle = sorted(finite)[(len(finite) - 1) // 2]
    most = max(range(len(counts)), key=counts.__getitem__)
    said = [f"{len(finite):,} {of}: from {short(min(finite))} to {short(max(finite))} {unit}."]
    said.append(f"Half of them are at most {short(middle)}.")
    said.append(f"Most, {counts[most]:,}, are from {short(starts[most])} to {short(starts[most] + step)}.")
    said += [f"{sum(v > at for v in finite):,} are above {name}, {short(at)}." for name, at in marks.items()]
    if odd:
        said.append(f"NaN or infinite, and left out: {odd}.")
    return " ".join(said)
