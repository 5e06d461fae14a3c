"""Is what came back the kind of thing that the exercise's signature promises? Asked before any check looks at it."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np

from deepdive.expect import WrongAnswer
from deepdive.values import is_array, kind


def check_kind(value: Any, annotation: str) -> None:
    """Is a returned value of the kind the exercise's signature promises?

    Raises:
        WrongAnswer: it is not; None asks whether a `return` is missing.
    """
    if not annotation or annotation in ("Any", "None"):
        return
    if value is None:
        raise WrongAnswer(annotation, "None", likely="The function returned None: is a `return` missing?")
    _check_kind(value, ast.parse(annotation, mode="eval").body, annotation, value)


_PLAIN_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "list": (list,), "dict": (dict,)}


def _check_kind(value: Any, node: ast.expr, annotation: str, whole: Any) -> None:
    head = ast.unparse(node.value if isinstance(node, ast.Subscript) else node)
    if head == "np.ndarray" and not isinstance(value, np.ndarray | np.number | np.bool_):  # x[0] is an array too
        raise WrongAnswer(annotation, kind(whole), likely=_not_an_array(value))
    if head == "tuple" and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        parts = node.slice.elts
        if not isinstance(value, tuple | list) or len(value) != len(parts):
            raise WrongAnswer(annotation, kind(whole), likely=f"The function should return {len(parts)} values.")
        for item, part in zip(value, parts, strict=True):
            _check_kind(item, part, annotation, whole)
    elif head in _PLAIN_KINDS and not isinstance(value, _PLAIN_KINDS[head]):
        raise WrongAnswer(annotation, kind(whole), likely=f"A {head} is asked for.")


def _not_an_array(value: Any) -> str:
    if is_array(value):
        return "A torch tensor came back where a NumPy array is asked for: .numpy() makes one of it."
    if isinstance(value, list | tuple):
        return f"A {type(value).__name__} came back where an array is asked for: np.array(…) makes one of it."
    if inspect.isgenerator(value):
        return "A generator came back: the function has a `yield` where it should `return` an array."
    if value is None:
        return "None came back where an array is asked for."
    return "An array is asked for."
