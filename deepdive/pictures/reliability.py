"""A reliability diagram: when a model is 80% sure, is it right in 80 of 100?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from deepdive.pictures.axes import HEIGHT, WIDTH, Axes, Axis
from deepdive.pictures.bars import bars
from deepdive.pictures.palette import BLUE, ORANGE
from deepdive.pictures.svg import Picture, add, canvas


def reliability(
    confidences: Sequence[float], right: Sequence[bool], title: str = "Reliability", *, bins: int = 10
) -> Picture:
    """How often predictions are right, by how sure the model was of them.

    Bins are those of `calibration_error`: of equal width, each without its lower and with its upper edge.

    Args:
        confidences: the probability of each prediction, 0 to 1; what is NaN is left out, and the text says so.
        right: whether each prediction is right.
        title: what it is.
        bins: how many.

    Raises:
        ValueError: not equally many of both; the message shows both numbers.
    """
    if len(confidences) != len(right):
        raise ValueError(f"confidences and right must be equally many, got {len(confidences)} and {len(right)}")
    binned: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, hit in zip(confidences, right, strict=True):
        if math.isfinite(confidence):
            binned[max(math.ceil(confidence * bins), 1)].append((confidence, bool(hit)))
    # By bin: how sure on average, how often right, how many.
    rows = {
        number: (sum(c for c, _ in pairs) / len(pairs), sum(hit for _, hit in pairs) / len(pairs), len(pairs))
        for number, pairs in sorted(binned.items())
    }
    told = _told(list(rows.values()), len(confidences))
    root = canvas(title, told, WIDTH, HEIGHT, grow=1.4)
    axes = Axes(Axis("how sure", 0, 1), Axis("how often right", 0, 1))
    axes.draw(root)
    for number, (_, often, _) in rows.items():
        x, y = axes.x((number - 1) / bins), axes.y(often)
        width = axes.x(number / bins) - x
        add(root, "rect", class_="bar", x=x + 1, y=y, width=width - 2, height=axes.y(0) - y, fill=BLUE)
    ends = {"x1": axes.x(0), "y1": axes.y(0), "x2": axes.x(1), "y2": axes.y(1)}
    add(root, "line", stroke=ORANGE, stroke_width=2, stroke_dasharray="6 4", **ends)
    for sure, often, _ in rows.values():
        add(root, "circle", cx=axes.x(sure), cy=axes.y(often), r=4, fill="currentColor")
    add(root, "text", "on the line: as often right as sure", x=axes.x(0.03), y=axes.y(0.93), font_size=11)
    shown = bars(
        [f"{sure:.0%} sure" for sure, _, _ in rows.values()], [round(100 * often) for _, often, _ in rows.values()]
    )
    return Picture(title, told, root, shown, note=f"Bars are the percentages that were right. {told}")


def _told(rows: Sequence[tuple[float, float, int]], given: int) -> str:
    many = sum(count for _, _, count in rows)
    odd = f" NaN or infinite, and left out: {given - many}." if given > many else ""
    if not many:
        return f"No predictions.{odd}"
    error = sum(count / many * abs(sure - often) for sure, often, count in rows)
    each = "; ".join(f"{sure:.0%} sure, {often:.0%} right ({count:,})" for sure, often, count in rows)
    return f"Calibration error {error:.3f} over {many:,} predictions. {each}.{odd}"
