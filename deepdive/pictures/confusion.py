"""A confusion matrix: what was called what."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from deepdive.pictures.palette import Scale, ink_on
from deepdive.pictures.svg import Picture, add, canvas
from deepdive.values import shorten

_PALE_TO_BLUE = ("#f4f8fc", "#9ecae1", "#4292c6", "#08519c")
_CELL_WIDTH, _CELL_HEIGHT, _LEFT, _TOP = 78, 52, 96, 50


def confusion_matrix(
    counts: Sequence[Sequence[int]], labels: Sequence[str], title: str = "Confusion matrix"
) -> Picture:
    """Counts in cells that are the darker, the larger a share of their row they are.

    Args:
        counts: row i, column j: how many of label i were called j.
        labels: the names of the labels.
        title: what it is.

    Raises:
        ValueError: not as many rows and columns as labels; the message shows the numbers.
    """
    if [len(row) for row in counts] != [len(labels)] * len(labels):
        sizes = [len(row) for row in counts]
        raise ValueError(f"{len(labels)} labels need as many rows and columns, got rows of {sizes}")
    totals = [sum(row) or 1 for row in counts]
    right, everything = sum(row[i] for i, row in enumerate(counts)), sum(map(sum, counts))
    said = f"{right:,} of {everything:,} right."
    worst = max(
        ((row[j], i, j) for i, row in enumerate(counts) for j in range(len(labels)) if i != j), default=(0, 0, 0)
    )
    if worst[0]:
        said += f" Most often wrong: {worst[0]:,} {labels[worst[1]]} were called {labels[worst[2]]}."
    scale = Scale(0.0, 1.0, _PALE_TO_BLUE)
    root = canvas(title, said, _LEFT + _CELL_WIDTH * len(labels) + 2, _TOP + _CELL_HEIGHT * len(labels) + 2)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    middle = _LEFT + _CELL_WIDTH * len(labels) / 2
    add(root, "text", "was called", x=middle, y=14, text_anchor="middle", font_weight="bold")
    add(root, "text", "is", x=8, y=_TOP - 10, font_weight="bold")
    for j, label in enumerate(labels):
        x = _LEFT + _CELL_WIDTH * (j + 0.5)
        add(root, "text", shorten(label, 11), x=x, y=_TOP - 10, text_anchor="middle")
        table.add_column(Text(shorten(label, 11)), justify="right")
    for i, row in enumerate(counts):
        y = _TOP + _CELL_HEIGHT * i
        add(root, "text", shorten(labels[i], 13), x=8, y=y + _CELL_HEIGHT / 2 + 4)
        cells = []
        for j, count in enumerate(row):
            share, x = count / totals[i], _LEFT + _CELL_WIDTH * j
            ground = scale.colour(share)
            box = {"x": x + 1, "y": y + 1, "width": _CELL_WIDTH - 2, "height": _CELL_HEIGHT - 2}
            add(root, "rect", class_="cell", fill=ground, stroke="currentColor", stroke_opacity="0.3", **box)
            ink, centre = ink_on(ground), x + _CELL_WIDTH / 2
            add(root, "text", f"{count:,}", x=centre, y=y + 24, fill=ink, font_size=14, text_anchor="middle")
            add(root, "text", f"{share:.0%}", x=centre, y=y + 40, fill=ink, font_size=11, text_anchor="middle")
            cells.append(Text(f" {count:,} · {share:.0%} ", style=f"{ink} on {ground}"))
        table.add_row(Text(shorten(labels[i], 13)), *cells)
    return Picture(title, said, root, table, note=said)
