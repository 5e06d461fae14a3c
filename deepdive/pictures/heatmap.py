"""Numbers as a table of colours: with names along its edges, in a terminal by the colour behind the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from rich.text import Text

from deepdive.grids import INFINITE, MINUS_INFINITE, NAN, Cell, Grid
from deepdive.pictures.palette import ODD, Scale, ink_on
from deepdive.pictures.svg import Picture, add, canvas
from deepdive.values import shorten

SIGNS = {NAN: "×", INFINITE: "▲", MINUS_INFINITE: "▼"}
_ROOM = 256  # pixels along either side of the cells
_SHADES = " .:-=+*#%@"  # for terminals without colours
_NAME = 14  # characters of a row's or column's name
_CHARACTER = 7  # pixels, of the names' font
_DIGITS = 6  # characters of a number in a cell
_GAP = 4  # pixels between slices
_STRIP = 64  # pixels, of the strip of colours below


@dataclass(frozen=True)
class Names:
    """What stands along the edges.

    Args:
        rows: of each row of cells; empty for none.
        columns: of each column.
    """

    rows: Sequence[str] = ()
    columns: Sequence[str] = ()


def heatmap(
    grid: Grid,
    scale: Scale,
    title: str,
    *,
    note: str = "",
    names: Names | None = None,
    percent: bool = False,
    by: str = "",
) -> Picture:
    """A grid as a picture.

    Args:
        grid: what to draw.
        scale: which colour a number has.
        title: what it is.
        note: what one should know to read it.
        names: of rows and columns.
        percent: write numbers as percentages.
        by: whose function made the numbers.
    """
    names = names or Names()
    text = " ".join(filter(None, (note, described(grid))))
    place = _Layout(grid, names, written=_writes_numbers(grid, percent))
    ends = [written_as(number, percent) + "%" * percent for number in (scale.least, scale.greatest)]
    lines = _below(grid)
    room = max(13 + _STRIP + _CHARACTER * sum(map(len, ends)), *(_CHARACTER * len(line) for line in ["", *lines]))
    bottom = place.top + place.height
    root = canvas(title, text, place.left + max(place.width, room) + 1, bottom + 30 + 15 * len(lines))
    _draw_cells(root, grid, scale, place)
    _draw_inside(root, grid, scale, place, percent)
    _draw_names(root, names, place)
    _draw_legend(root, scale, ends, place.left, bottom + 12)
    for number, line in enumerate(lines):
        add(root, "text", line, x=place.left, y=bottom + 40 + 15 * number, font_size=11)
    return Picture(title, text, root, in_terminal(grid, scale, names, percent=percent), by, note)


class _Layout:
    """Where everything is, in pixels.

    Args:
        grid: whose cells they are.
        names: along its edges.
        written: whether numbers stand in the cells.
    """

    def __init__(self, grid: Grid, names: Names, *, written: bool) -> None:
        (rows, columns), (down, across) = grid.size, grid.slices
        self.written = written
        self.cell = _cell_size(grid, written)
        self.left = 8 + _CHARACTER * max(len(shorten(name, _NAME)) for name in names.rows) if names.rows else 1
        self.top = 8 + _CHARACTER * max(len(shorten(name, _NAME)) for name in names.columns) if names.columns else 1
        self.xs = [self.left + i * self.cell[0] + (_GAP * (i // across) if across else 0) for i in range(columns)]
        self.ys = [self.top + i * self.cell[1] + (_GAP * (i // down) if down else 0) for i in range(rows)]
        self.width = self.xs[-1] + self.cell[0] - self.left
        self.height = self.ys[-1] + self.cell[1] - self.top

    def cells(self, grid: Grid) -> Iterator[tuple[float, float, Cell]]:
        """Each cell with its left upper corner."""
        for y, row in zip(self.ys, grid.cells, strict=True):
            for x, cell in zip(self.xs, row, strict=True):
                yield x, y, cell


def _draw_cells(root: ET.Element, grid: Grid, scale: Scale, place: _Layout) -> None:
    """The colours, cells of one colour in one path, and a line around each slice."""
    wide, high = place.cell
    by_colour: dict[str, list[str]] = defaultdict(list)
    for x, y, cell in place.cells(grid):
        by_colour[scale.colour(cell)].append(f"M{x:g} {y:g}h{wide}v{high}h-{wide}z")
    cells = add(root, "g", class_="cells", shape_rendering="crispEdges")
    for colour, boxes in by_colour.items():
        add(cells, "path", fill=colour).set("d", "".join(boxes))
    down, across = grid.slices[0] or grid.size[0], grid.slices[1] or grid.size[1]
    size = {"width": across * wide, "height": down * high}
    for y in place.ys[::down]:
        for x in place.xs[::across]:
            add(root, "rect", x=x, y=y, fill="none", stroke="currentColor", stroke_opacity="0.35", **size)


def _draw_inside(root: ET.Element, grid: Grid, scale: Scale, place: _Layout, percent: bool) -> None:
    """The numbers, where there is room for them; and a sign in what is no finite number."""
    wide, high = place.cell
    signs: dict[str, list[str]] = defaultdict(list)
    for x, y, cell in place.cells(grid):
        if isinstance(cell, str):
            signs[cell].append(_sign(cell, x + wide / 2, y + high / 2, min(wide, high) * 0.3))
        elif place.written:
            ink = ink_on(scale.colour(cell))
            at = {"x": x + wide / 2, "y": y + high / 2 + 4}
            add(root, "text", written_as(cell, percent), fill=ink, font_size=11, text_anchor="middle", **at)
    for kind, ways in signs.items():
        fill = "none" if kind == NAN else ink_on(ODD)
        sign = add(root, "path", class_="odd", fill=fill, stroke=ink_on(ODD), stroke_width=1.5)
        sign.set("d", "".join(ways))


def _draw_names(root: ET.Element, names: Names, place: _Layout) -> None:
    wide, high = place.cell
    for name, y in zip(names.rows, place.ys, strict=False):
        at = {"x": place.left - 5, "y": y + high / 2 + 4}
        add(root, "text", shorten(name, _NAME), font_size=11, text_anchor="end", **at)
    for name, x in zip(names.columns, place.xs, strict=False):
        turned = f"translate({x + wide / 2 + 4:g} {place.top - 5:g}) rotate(-90)"
        add(root, "text", shorten(name, _NAME), transform=turned, font_size=11)


def _below(grid: Grid) -> list[str]:
    """What stands below the colours: what the signs mean, and what a cell is, where that is not plain."""
    notes = [f"{SIGNS[NAN]} {grid.nan} NaN"] if grid.nan else []
    notes += [f"{SIGNS[INFINITE]}{SIGNS[MINUS_INFINITE]} {grid.infinite} infinite"] if grid.infinite else []
    return notes + ([f"a cell is {grid.block[0]} × {grid.block[1]} values"] if grid.block != (1, 1) else [])


def described(grid: Grid) -> str:
    """What a grid holds, and how it is drawn, in sentences."""
    said = [f"{grid.kind}."]
    if grid.least is not None and grid.greatest is not None:
        said.append(f"Values from {grid.least:g} to {grid.greatest:g}.")
    if grid.nan:
        said.append(f"{grid.nan} NaN, drawn as {SIGNS[NAN]}.")
    if grid.infinite:
        said.append(f"{grid.infinite} infinite, drawn as {SIGNS[INFINITE]} or, below 0, {SIGNS[MINUS_INFINITE]}.")
    if grid.slices[0]:
        beside = ", the last axis but two side by side" if grid.slices[1] else ""
        said.append(f"Slices along the leading axes are apart{beside}.")
    if grid.block != (1, 1):
        said.append(f"A cell is {grid.block[0]} by {grid.block[1]} values.")
    return " ".join(said)


def in_terminal(grid: Grid, scale: Scale, names: Names, *, percent: bool = False) -> Text:
    """A grid as lines of coloured cells; signs of growing darkness stand in them, to be read without colour."""
    wide = 4 if _writes_numbers(grid, percent) and percent else 2 if grid.size[1] <= 38 else 1
    row_names = [shorten(name, _NAME) for name in names.rows]
    column_names = [shorten(name, _NAME) for name in names.columns]
    left = max(map(len, row_names), default=0) + bool(row_names)
    text = Text(no_wrap=True, overflow="crop")
    height = max(map(len, column_names), default=0)
    for line in range(height):  # names of columns are written downwards, and end at their columns
        letters = (name.rjust(height)[line].center(wide) for name in column_names)
        text.append(" " * left + "".join(letters).rstrip() + "\n")
    for index, row in enumerate(grid.cells):
        if grid.slices[0] and index and index % grid.slices[0] == 0:
            text.append("\n")
        if row_names:
            text.append(row_names[index].rjust(left - 1) + " ")
        for column, cell in enumerate(row):
            if grid.slices[1] and column and column % grid.slices[1] == 0:
                text.append(" ")
            ground = scale.colour(cell)
            if isinstance(cell, str):
                said = SIGNS[cell].center(wide)
            elif wide == 4:
                said = f"{written_as(cell, percent):>3} "
            else:
                said = _shade(cell, scale) * wide
            ink = ground if wide < 4 and not isinstance(cell, str) else ink_on(ground)
            text.append(said, style=f"{ink} on {ground}")
        if index < len(grid.cells) - 1:
            text.append("\n")
    return text


def written_as(number: float, percent: bool) -> str:
    """A number in a cell: `0.25`, or `25` where it is percent; with fewer digits where there is no room for them."""
    if percent:
        return f"{100 * number:.0f}"
    forms = (f"{number:.3g}", f"{number:.2g}", f"{number:.0e}")
    return next((form for form in forms if len(form) <= _DIGITS), forms[-1])


def _shade(number: float, scale: Scale) -> str:
    return _SHADES[round(scale.share(number) * (len(_SHADES) - 1))]


def _writes_numbers(grid: Grid, percent: bool) -> bool:
    rows, columns = grid.size
    return (rows <= 16 and columns <= 16) if percent else (rows <= 12 and columns <= 6)


def _cell_size(grid: Grid, written: bool) -> tuple[int, int]:
    """Width and height of a cell in pixels: large enough for its number, or about square."""
    rows, columns = grid.size
    if written:
        return (46, 24) if columns <= 6 else (24, 24)
    width, height = (min(max(_ROOM // count, 4), 24) for count in (columns, rows))
    return min(width, 3 * height), min(height, 3 * width)


def _sign(cell: Cell, x: float, y: float, half: float) -> str:
    """The way of a pen that draws a cross for NaN, a triangle for an infinity."""
    left, right, top, bottom = (f"{place:.1f}" for place in (x - half, x + half, y - half, y + half))
    if cell == NAN:
        return f"M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"
    base, tip = (bottom, top) if cell == INFINITE else (top, bottom)
    return f"M{left} {base}L{x:.1f} {tip}L{right} {base}z"


def _draw_legend(root: ET.Element, scale: Scale, ends: Sequence[str], x: float, y: float) -> None:
    """The colours from the least number to the greatest, a strip with both at its ends."""
    begin = x + 8 + _CHARACTER * len(ends[0])
    steps = 16
    wide = _STRIP / steps
    add(root, "text", ends[0], x=x, y=y + 11, font_size=11)
    for step in range(steps):
        colour = scale.colour(scale.at((step + 0.5) / steps))
        add(root, "rect", x=begin + wide * step, y=y + 2, width=wide + 0.5, height=10, fill=colour)
    add(root, "text", ends[1], x=begin + _STRIP + 5, y=y + 11, font_size=11)
