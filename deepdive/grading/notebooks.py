"""The answers in a notebook, as the module they would be: its code is read, never run by a kernel.

Imports, functions, classes and assignments are taken, in the notebook's order; what only does something (a call, a
loop, a magic, a shell command) is left out, and so is every output.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from deepdive.source import lines_of

_PLAIN_BYTES = 16 << 20  # of a notebook that is read whole; of a larger one the outputs are skipped unread
_CODE_BYTES = 1 << 20  # of all code in a notebook, as in a file of answers
_MAGIC = re.compile(r"\s*(?:[%!?]|[\w, ]+=\s*[%!]|.*\?\s*$)")
_STILL_PYTHON = re.compile(r"\s*%%(?:time|capture|prun)\b")  # the rest of such a cell defines what it says
_TAKEN = (
    ast.Import
    | ast.ImportFrom
    | ast.FunctionDef
    | ast.AsyncFunctionDef
    | ast.ClassDef
    | ast.Assign
    | ast.AnnAssign
    | ast.AugAssign
)


@dataclass(frozen=True)
class Extract:
    """What a notebook holds.

    Args:
        source: the module.
        problems: what could not be taken, and why.
    """

    source: bytes
    problems: tuple[str, ...]


class NotANotebook(ValueError):
    """The bytes are no notebook; the message says why."""


class _Cell(msgspec.Struct):
    cell_type: str = ""
    source: msgspec.Raw = msgspec.Raw(b'""')


class _Notebook(msgspec.Struct):
    cells: list[_Cell]


def extract(content: bytes) -> Extract:
    """The module in a notebook.

    Raises:
        NotANotebook: it is no JSON, or has no cells.
    """
    future, taken, problems = list[str](), list[str](), list[str]()
    left = _CODE_BYTES
    for number, text in _code_cells(content):
        left -= len(text.encode("utf-8", "surrogatepass"))
        if left < 0:
            raise NotANotebook(f"its code is larger than {_CODE_BYTES >> 20} MiB")
        source = without_magics(re.sub("\r\n?", "\n", text))
        try:
            statements = ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = f" on line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            problems.append(f"cell {number} is no Python{line}, and was left out")
            continue
        lines = source.split("\n")
        for statement in statements:
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                future.append(ast.unparse(statement))
            elif isinstance(statement, _TAKEN):
                taken.append(_segment(lines, statement))
    return Extract(("\n".join([*future, *taken]) + "\n").encode("utf-8", "surrogatepass"), tuple(problems))


def _code_cells(content: bytes) -> list[tuple[int, str]]:
    """The code cells of a notebook, each with its number among all cells, from 1."""
    try:
        cells = _cells_of_large(content) if len(content) > _PLAIN_BYTES else _cells_of(json.loads(content))
    except NotANotebook:
        raise
    except (ValueError, RecursionError) as error:
        raise NotANotebook(f"not a notebook: {type(error).__name__}") from None
    if cells is None:
        raise NotANotebook("not a notebook: it has no cells (nbformat 4 is read)")
    return [(number, source) for number, (kind, source) in enumerate(cells, 1) if kind == "code"]


def _cells_of(notebook: Any) -> list[tuple[str, str]] | None:
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        return None
    known = (cell if isinstance(cell, dict) else {} for cell in cells)
    return [(str(cell.get("cell_type")), _text(cell.get("source"))) for cell in known]


def _cells_of_large(content: bytes) -> list[tuple[str, str]]:
    cells = msgspec.json.decode(content, type=_Notebook).cells
    if sum(len(cell.source) for cell in cells if cell.cell_type == "code") > 4 * _CODE_BYTES:  # escapes and quotes
        raise NotANotebook(f"its code is larger than {_CODE_BYTES >> 20} MiB")
    return [
        (cell.cell_type, _text(json.loads(bytes(cell.source))) if cell.cell_type == "code" else "") for cell in cells
    ]


def without_magics(source: str) -> str:
    """A cell without the lines that only IPython understands; a cell that starts with `%%` is rarely Python's."""
    if _STILL_PYTHON.match(source):
        source = _STILL_PYTHON.sub("#", source)
    if source.lstrip().startswith("%%"):
        return ""
    if _parses(source):
        return source  # a line may well go on with `% 2`
    return "\n".join(_without_magic(line) for line in source.split("\n"))


def _without_magic(line: str) -> str:
    return f"{line[: len(line) - len(line.lstrip())]}pass" if _MAGIC.match(line) else line


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _text(source: Any) -> str:
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _segment(lines: list[str], statement: ast.stmt) -> str:
    """A statement as it was written, decorators included, without what else is on its lines."""
    own = lines[lines_of(statement)]
    own[-1] = own[-1].encode()[: statement.end_col_offset].decode()
    if statement.col_offset and not getattr(statement, "decorator_list", []):
        own[0] = own[0].encode()[statement.col_offset :].decode()
    text = "\n".join(own)
    return text if _parses(text) else ast.unparse(statement)
