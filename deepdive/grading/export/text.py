"""Untrusted text on its way into somebody else's file: made visible, capped, kept from being run or from escaping.

Names, ids, messages and output come from students and from their code. Whatever a reader would not see as itself
(control characters, terminal escapes, characters that turn the direction of writing, halves of surrogate pairs) is
written as an escape that one can see: `\\x1b`, `\\u202e`. What is left is valid in UTF-8, in JSON and in XML; what
else a format needs is added by its own library.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

# What a spreadsheet takes for the beginning of a formula; the wide ones are taken for it in some languages.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_CELL = 32_000  # characters; a cell of Excel holds 32,767
_NAME = 48  # characters of a file's name: 4 bytes each at most, and file systems allow 255 bytes
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}


class ExportError(ValueError):
    """These marks cannot be written in this format; the message says which, why, and what to do."""


def visible(text: str, keep: str = "") -> str:
    """`text` with everything but printable characters, and those in `keep`, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def visible_lines(text: str) -> str:
    """`text` of several lines, made visible line by line; tabs become spaces."""
    return visible(text.replace("\r\n", "\n").expandtabs(4), keep="\n")


def capped(text: str, most: int, note: str = "\n… {} characters left out …\n") -> str:
    """`text` in at most `most` characters: the middle is left out, and the note says how much of it."""
    if len(text) <= most:
        return text
    room = most - len(note.format(len(text)))
    if room < 2:
        return text[: max(most, 0)]
    head = room // 2
    tail = room - head
    return text[:head] + note.format(len(text) - room) + text[len(text) - tail :]


def number(value: float) -> str:
    """Points or a share in at most two decimals, without zeros that say nothing: `18`, `16.2`."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def json_text(value: Any) -> str:
    """`value` as indented JSON, every text in it visible."""
    return json.dumps(clean(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def clean(value: Any) -> Any:
    """Plain data with every text in it visible."""
    if isinstance(value, str):
        return visible_lines(value)
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def csv_text(rows: Iterable[Sequence[str | float]]) -> str:
    """Rows as CSV (RFC 4180): texts neutralised, whole numbers as they are, others with two decimals."""
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return out.getvalue()


def cell(value: str | float) -> str:
    """One cell: one visible line that no spreadsheet takes for a formula."""
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, int):
        return str(value)
    text = capped(visible(value), _CELL, " … {} characters left out … ")
    return "'" + text if _FORMULA.match(text) else text


def file_names(ids: Sequence[str]) -> list[str]:
    """A name for each id that is safe as a file's or folder's name on any system, in the ids' order.

    An id of letters, digits and `. _ @ -` is its own name. Any other one, one that is too long, and those that differ
    only in case, can be recognised and end with eight digits of the id's hash.
    """
    plain = [_plain(one) for one in ids]
    ids_by_key: dict[str, set[str]] = {}
    for one, name in zip(ids, plain, strict=True):
        ids_by_key.setdefault(_key(name), set()).add(one)
    taken: set[str] = set()
    names = []
    for one, name in zip(ids, plain, strict=True):
        if name != one or len(ids_by_key[_key(name)]) > 1:
            name = f"{name}-{sha256(one.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        fresh, count = name, 1
        while _key(fresh) in taken:
            count += 1
            fresh = f"{name}-{count}"
        taken.add(_key(fresh))
        names.append(fresh)
    return names


def _plain(one: str) -> str:
    """An id with everything replaced that may mean something to a file system or a shell."""
    text = unicodedata.normalize("NFC", one[: 4 * _NAME])
    text = "".join(c if c.isalnum() or c in "._@-" else "_" for c in text)[:_NAME]
    text = re.sub(r"^[.@-]", "_", text)
    text = re.sub(r"\.$", "_", text)
    stem = unicodedata.normalize("NFKC", text.partition(".")[0]).upper()
    return f"_{text}" if not text or stem in _DEVICES else text


def _key(name: str) -> str:
    """What two names have in common that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
