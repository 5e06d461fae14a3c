"""A text in pieces: how tokenizers cut it, each piece on a colour of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from deepdive.pictures.palette import PIECES, ink_on
from deepdive.pictures.svg import MONOSPACED, Picture, add, canvas, clean
from deepdive.values import shorten

_WIDTH = 360
_CHARACTER, _LINE, _HEIGHT = 8.2, 28, 22  # pixels, of a monospaced font of 13
_MOST = 200  # pieces of a tokenizer
_LONGEST = 36  # characters of a piece


def pieces(cut: Mapping[str, Sequence[str]], title: str, *, note: str = "", by: str = "") -> Picture:
    """The pieces of each tokenizer, in lines.

    Args:
        cut: by tokenizer: its pieces, in order. Of more than 200 the rest is left out, and the picture says so.
        title: what it is.
        note: what one should know to read it.
        by: whose functions cut.
    """
    told = " ".join(f"{name}: {len(of)} pieces, {' | '.join(of[:_MOST])}." for name, of in cut.items())
    placed, y = [], 4.0
    for name, of in cut.items():
        heading = f"{name} · {len(of)} pieces" + (f", the first {_MOST}" if len(of) > _MOST else "")
        y += 16
        placed.append((heading, -1, 0.0, y, 0.0))
        x, y = 0.0, y + 8
        for place, piece in enumerate(of[:_MOST]):
            shown = shorten(piece, _LONGEST) or "·"
            wide = _CHARACTER * cell_len(shown) + 8
            if x and x + wide > _WIDTH:
                x, y = 0.0, y + _LINE
            placed.append((shown, place, x, y, wide))
            x += wide + 3
        y += _LINE + 6
    root = canvas(title, told, _WIDTH, y, grow=1.4)
    for shown, place, x, top, wide in placed:
        if place < 0:
            add(root, "text", shown, x=x, y=top, font_weight="bold")
            continue
        ground = PIECES[place % len(PIECES)]
        add(root, "rect", class_="piece", x=x, y=top, width=wide, height=_HEIGHT, rx=3, fill=ground)
        written = add(root, "text", shown, x=x + 4, y=top + 15.5, fill=ink_on(ground), font_size=13)
        written.set("font-family", MONOSPACED)
        written.set("textLength", f"{wide - 8:.1f}")  # whatever font there is, a piece fits into its box
        written.set("lengthAdjust", "spacingAndGlyphs")
    return Picture(title, clean(told), root, in_terminal(cut), by, note)


def in_terminal(cut: Mapping[str, Sequence[str]]) -> Text:
    """The same for a terminal: coloured, with bars between the pieces for those without colours."""
    text = Text()
    for index, (name, of) in enumerate(cut.items()):
        text.append(("\n\n" if index else "") + f"{shorten(name, _LONGEST)} · {len(of)} pieces\n", style="bold")
        for place, piece in enumerate(of[:_MOST]):
            ground = PIECES[place % len(PIECES)]
            text.append("│" if place else "", style="dim")
            text.append(shorten(piece, _LONGEST), style=f"{ink_on(ground)} on {ground}")
        text.append(" …" if len(of) > _MOST else "")
    return text
