"""Pictures on their way to a terminal or into files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group

from deepdive.pictures.svg import Picture

_WIDEST = 1_000  # columns, of anything that is drawn in a terminal


def print_pictures(pictures: Sequence[Picture], console: Console | None = None) -> None:
    """To the terminal, each with its title, in words what it shows, and by whom it was drawn."""
    console = console or Console()
    for picture in pictures:
        console.print(picture.title, style="bold", highlight=False, markup=False)
        if picture.terminal is not None:
            wide = console.measure(picture.terminal, options=console.options.update(width=_WIDEST)).maximum
            console.print(Group(picture.terminal), highlight=False)  # in a group it keeps its own way to wrap
            if wide > console.width:
                cut = f"(cut at {console.width} columns, it has {wide}: --svg picture.svg shows all of it)"
                console.print(cut, highlight=False, markup=False)
        console.print(picture.note or picture.text, style="dim", highlight=False, markup=False)
        if picture.by:
            console.print(f"Drawn by {picture.by}.", highlight=False, markup=False)
        console.print()


def write_pictures(pictures: Sequence[Picture], path: Path) -> list[Path]:
    """As SVG: one to the file itself, several to files beside one another, `NAME-expected.svg`."""
    paths = [path]
    if len(pictures) > 1:
        names = (re.sub(r"\W+", "-", picture.title.lower()) for picture in pictures)
        paths = [path.with_stem(f"{path.stem}-{name}") for name in names]
    for one, picture in zip(paths, pictures, strict=True):
        one.write_text(picture.file(), encoding="utf-8")
    return paths
