"""SVG by the standard library's XML: well formed and escaped whatever is written into it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from rich.console import RenderableType

from deepdive.values import shorten

FONT = "system-ui, sans-serif"
MONOSPACED = "ui-monospace, 'DejaVu Sans Mono', Consolas, monospace"
_LONGEST = 2_000  # characters of any one text
# A file of its own has no text around it whose colour it could take.
_ALONE = (
    "svg { color: #1b2026; background: #ffffff }"
    "@media (prefers-color-scheme: dark) { svg { color: #e8edf2; background: #12161b } }"
)


@dataclass(frozen=True)
class Picture:
    """Something to look at, and in words what there is to see.

    Args:
        title: what it is.
        text: what it shows, for those who cannot see it.
        root: the SVG.
        terminal: the same for a terminal; None where a terminal cannot show it.
        by: whose function made what is shown; empty when nobody's did.
        note: what one should know to read it, to stand below; empty when it speaks for itself.
    """

    title: str
    text: str
    root: ET.Element = field(repr=False)
    terminal: RenderableType | None = field(default=None, repr=False)
    by: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("title", "text", "by", "note"):  # a sentence or a label may be anybody's
            object.__setattr__(self, name, clean(getattr(self, name)))

    def svg(self) -> str:
        """The SVG to be put into a page, whose text colour it takes."""
        return ET.tostring(self.root, encoding="unicode")

    def file(self) -> str:
        """The SVG as a file of its own, light or dark as its reader's screen is."""
        alone = copy.deepcopy(self.root)
        style = ET.Element("style")
        style.text = _ALONE
        alone.insert(0, style)
        return ET.tostring(alone, encoding="unicode") + "\n"

    def _repr_html_(self) -> str:
        return self.svg()


def canvas(title: str, text: str, width: float, height: float, grow: float = 1.0) -> ET.Element:
    """An empty SVG with its title and description.

    Args:
        title: what the picture is.
        text: what it shows, in words.
        width: in pixels, as it is at home.
        height: in pixels.
        grow: how many times as large it may become where there is room.
    """
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_number(width)} {_number(height)}",
            "role": "img",
            "aria-label": clean(f"{title}. {text}"),
            "font-family": FONT,
            "font-size": "12",
            "fill": "currentColor",
            "style": f"width: 100%; max-width: {_number(width * grow)}px; height: auto",
        },
    )
    ET.SubElement(root, "title").text = clean(title)
    ET.SubElement(root, "desc").text = clean(text)
    return root


def add(parent: ET.Element, tag: str, content: str = "", /, **attributes: str | float) -> ET.Element:
    """Put an element into another: `add(root, "text", "loss", x=10, y=20, font_size=11)`."""
    named = {name.rstrip("_").replace("_", "-"): _value(value) for name, value in attributes.items()}
    element = ET.SubElement(parent, tag, named)
    if content:
        element.text = clean(content)
    return element


def clean(text: str) -> str:
    """One line that XML may hold: control characters and halves of pairs can be seen, and do nothing."""
    return shorten(text, _LONGEST)


def _value(value: str | float) -> str:
    return clean(value) if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
