"""An array that is wrong: what was expected, what came, and how far the one is from the other."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from deepdive.grids import Comparison
from deepdive.pictures.heatmap import heatmap
from deepdive.pictures.palette import scale_of, signed_scale_of
from deepdive.pictures.svg import Picture

_ROW = "display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; margin: .6rem 0"


def comparison(arrays: Comparison) -> list[Picture]:
    """Expected and yours in the same colours; the difference, where there is one, in colours from − over 0 to +."""
    scale = scale_of(arrays.expected, arrays.got)
    pictures = [heatmap(arrays.expected, scale, "Expected"), heatmap(arrays.got, scale, "Yours")]
    if arrays.difference is not None:
        note = "White is right, orange too much, blue too little."
        pictures.append(heatmap(arrays.difference, signed_scale_of(arrays.difference), "Difference", note=note))
    return pictures


def side_by_side(pictures: Sequence[Picture]) -> Markup:
    """Pictures with their titles and notes, next to one another where there is room."""
    figure = Markup('<figure style="margin: 0; max-width: 100%"><figcaption>{}</figcaption>{}{}</figure>')
    small = Markup('<p style="margin: 0; font-size: .8rem; max-width: 16rem">{}</p>')
    figures = Markup("").join(
        figure.format(one.title, Markup(one.svg()), small.format(one.note) if one.note else "") for one in pictures
    )
    return Markup('<div style="{}">{}</div>').format(_ROW, figures)
