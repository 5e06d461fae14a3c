"""Plain values: what passes between a check and an answer, copied, compared and described.

Plain are None, bool, int, float, str, bytes, list, tuple, dict, NumPy arrays and torch tensors.
A check only ever sees copies of exactly these types, so that a subclass with a lying `__eq__`, a view of
an input or an array changed later cannot mislead it. Everything else passes through as it is.
"""

from __future__ import annotations

import sys
from typing import Any, TypeGuard

import numpy as np

MAX_DEPTH = 50  # an answer may nest values, or even contain itself; nothing honest is deeper than this


def is_tensor(value: object) -> bool:
    """Whether `value` is a torch tensor; False, and cheaply, while nobody has imported torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_array(value: object) -> TypeGuard[np.ndarray]:
    """Whether `value` is a NumPy array or a torch tensor."""
    return isinstance(value, np.ndarray) or is_tensor(value)


def plain(value: Any, depth: int = 0) -> Any:
    """A deep copy of `value` in exact base types; what is not plain is returned as it is."""
    if value is None or isinstance(value, bool) or depth > MAX_DEPTH:
        return value
    if isinstance(value, np.ndarray):
        return np.array(value, copy=True, subok=False)
    if isinstance(value, np.generic):
        return value
    if is_tensor(value):
        return value.detach().clone()
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return tuple(plain(item, depth + 1) for item in tuple.__iter__(value))
    if isinstance(value, dict):
        return {plain(key, depth + 1): plain(item, depth + 1) for key, item in dict.items(value)}
    return value


def is_leaf(value: Any) -> bool:
    """Whether `value` is plain and holds nothing else: a list is not, nor is a model."""
    scalar = value is None or isinstance(value, bool | int | float | str | bytes | np.generic)
    return scalar or is_array(value)


def as_numpy(value: Any) -> np.ndarray:
    """A number, array or tensor as a NumPy array (bfloat16, which NumPy lacks, as float32)."""
    if is_tensor(value):
        tensor = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    return np.asarray(value)


def is_number(value: object) -> bool:
    """Whether `value` is a number in the arithmetic sense: no bool, no array."""
    return isinstance(value, int | float | complex | np.number) and not isinstance(value, bool)


def identical(a: Any, b: Any) -> bool:
    """Whether two plain values are the same to the last bit (NaN equals NaN; 1 and 1.0 differ), or one object."""
    if a is b:
        return True
    if is_array(a) and is_array(b):
        x, y = as_numpy(a), as_numpy(b)
        if x.shape != y.shape or x.dtype != y.dtype:
            return False
        if x.dtype == object:
            return bool(np.array_equal(x, y))
        return np.ascontiguousarray(x).tobytes() == np.ascontiguousarray(y).tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    return bool(a == b) if is_leaf(a) else False


def kind(value: Any) -> str:
    """A value's type and shape as a reader wants them: `float64[2,3]`, `dict of 8`, `int 3`, `None`."""
    if is_array(value):
        dtype = str(value.dtype).removeprefix("torch.")
        prefix = "torch.Tensor " if is_tensor(value) else ""
        return f"{prefix}{dtype}[{','.join(map(str, value.shape))}]"
    if value is None:
        return "None"
    if isinstance(value, np.generic):
        return f"{value.dtype} {value.item()!r}"
    if isinstance(value, bool | int | float):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, str | bytes):
        return f"{type(value).__name__} {shorten(repr(value), 30)}"
    if isinstance(value, tuple):
        return f"({', '.join(map(kind, value))})" if len(value) <= 4 else f"tuple of {len(value)}"
    if isinstance(value, list | dict):
        return f"{type(value).__name__} of {len(value)}"
    jailed = getattr(type(value), "kind_of", None)  # of an object that stays in a jail
    return f"a {jailed(value) if jailed else type(value).__qualname__}"


def preview(value: Any, width: int = 30) -> str:
    """The first few values of an array, list or text, cut to about `width` characters."""
    if is_array(value):
        array = as_numpy(value)
        if array.size == 0:
            return "(empty)"
        opening = "[" * array.ndim
        flat = array.reshape(-1)
        row = flat[: array.shape[-1]] if array.ndim else flat
        text, closed = opening, row.size == array.size
        for index, item in enumerate(row):
            piece = ("" if index == 0 else ", ") + number(item)
            if len(text) + len(piece) > width:
                return text + ", …"
            text += piece
        return text + ("]" * array.ndim if closed else "], …")
    if isinstance(value, list | tuple | dict | str | bytes):
        return shorten(repr(value), width)
    return ""


def number(item: Any) -> str:
    """One array element in at most about six significant characters."""
    if isinstance(item, bool | np.bool_):
        return str(bool(item))
    if isinstance(item, float | np.floating):
        return f"{float(item):.3g}" if abs(float(item)) < 1e-3 or abs(float(item)) >= 1e4 else f"{item:.3f}"
    return shorten(str(item), 12)


def shorten(text: str, width: int) -> str:
    """`text` on one line, cut to `width` characters with an ellipsis; control characters are escaped."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return safe if len(safe) <= width else safe[: width - 1] + "…"
