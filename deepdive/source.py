"""What stands in a file of Python, and where."""

from __future__ import annotations

import ast
from pathlib import Path


def content_of(path: Path) -> bytes:
    """A file's bytes; none where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def function_in(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """The function of this name; of several the last, which is the one that counts."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1] if found else None


def lines_of(statement: ast.stmt) -> slice:
    """The lines of a statement among its file's, decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min(statement.lineno, *(each.lineno for each in decorators)) if decorators else statement.lineno
    return slice(first - 1, statement.end_lineno or first)


def names_in(node: ast.AST) -> list[str]:
    """The names that a piece of code uses, each once, attributes left out."""
    return list(dict.fromkeys(part.id for part in ast.walk(node) if isinstance(part, ast.Name)))


def declared_lines(function: ast.FunctionDef) -> slice:
    """The lines of a function that are not its body: decorators, signature and docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    return slice(lines_of(function).start, first.end_lineno if documented else first.lineno - 1)


def declaration_of(function: ast.FunctionDef) -> str:
    """What a function says of itself, comments and layout aside: its parameters, what it returns, its docstring."""
    returns = ast.unparse(function.returns) if function.returns else ""
    return f"({ast.unparse(function.args)}) -> {returns}\n{ast.get_docstring(function) or ''}"
