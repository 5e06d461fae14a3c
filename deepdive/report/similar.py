"""The page about similar answers: for a person to read, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepdive.grading.export.text import capped
from deepdive.report.pages import TEMPLATES

if TYPE_CHECKING:
    from deepdive.grading.similarity import Similarity

_LINE = 160  # characters of a line of code that are shown

TEMPLATES.filters["cut"] = lambda text: capped(text, _LINE, " … {} characters left out … ")


def similarity_page(found: Similarity) -> str:
    """What is usual in the class, the most similar pairs with their passages side by side, and what was left out."""
    return TEMPLATES.get_template("similar.html").render(
        hours=found.hours, pairs=found.pairs, left_out=found.left_out
    )
