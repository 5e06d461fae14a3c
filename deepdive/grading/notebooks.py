"""The answers in a notebook, as the module they would be: its code is read, never run by a kernel.

Imports, functions, classes and assignments are taken, in the notebook's order; what only does something (a call, a
loop, a magic, a shell command) is left out, and so is every output.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import Any

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


def extract(content: bytes) -> Extract:
    """The module in a notebook.

    Raises:
        NotANotebook: it is no JSON, or has no cells.
    """
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotANotebook(f"not a notebook: {type(error).__name__}") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise NotANotebook("not a notebook: it has no cells (nbformat 4 is read)")
    future, taken, problems = list[str](), list[str](), list[str]()
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = without_magics(_text(cell.get("source")))
        try:
            statements = ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = f" on line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            problems.append(f"cell {number} is no Python{line}, and was left out")
            continue
        for statement in statements:
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                future.append(ast.unparse(statement))
            elif isinstance(statement, _TAKEN):
                taken.append(_segment(source, statement))
    return Extract(("\n".join([*future, *taken]) + "\n").encode("utf-8", "surrogatepass"), tuple(problems))


def without_magics(source: str) -> str:
    """A cell without the lines that only IPython understands; a cell that starts with `%%` is none of Python's."""
    if source.lstrip().startswith("%%"):
        return ""
    lines = source.split("\n")
    kept = [
        "" if line.lstrip().startswith(("%", "!", "?")) or line.rstrip().endswith("?") else line for line in lines
    ]
    return "\n".join(kept) if _parses("\n".join(kept)) or not _parses(source) else source


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


def _segment(source: str, statement: ast.stmt) -> str:
    """A statement as it was written, decorators included."""
    lines = source.split("\n")
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    text = "\n".join(lines[first - 1 : statement.end_lineno])
    return text if _parses(text) else ast.unparse(statement)
