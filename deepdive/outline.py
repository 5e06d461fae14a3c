"""Files of checks of which none has to run are not imported: that alone takes seconds, for torch and Transformers.

Of such a file pytest is shown an outline instead: functions of the same names on the same lines, with the same marks
and fixtures, and nothing in them. When every exercise of an hour is still to do, or every verdict on it is known
already, no check is ever called; should one be, it says that the kit is at fault.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


class Outline(pytest.Module):
    """A file of checks that is not imported."""

    decorator: Callable[..., Any]

    def _getobj(self) -> ModuleType:
        tree = ast.parse(self.path.read_bytes(), filename=str(self.path))
        module = ModuleType(self.path.stem, ast.get_docstring(tree))
        module.__file__ = str(self.path)
        exec(
            compile(_outline(tree), str(self.path), "exec"),
            {**vars(module), "exercise": self.decorator},
            vars(module),
        )
        return module


def outline_of(path: Path, parent: pytest.Collector, decorator: Callable[..., Any]) -> Outline:
    """The outline of a file of checks.

    Args:
        path: the file.
        parent: where it is collected.
        decorator: what `@exercise` is.
    """
    made: Outline = Outline.from_parent(parent, path=path)
    made.decorator = staticmethod(decorator)
    return made


def _outline(tree: ast.Module) -> ast.Module:
    """The functions that say `@exercise(…)`, each of which only raises."""
    kept: list[ast.stmt] = []
    for node in tree.body:
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
        marks = [d for d in decorators if isinstance(d, ast.Call) and ast.unparse(d.func) == "exercise"]
        if isinstance(node, ast.FunctionDef) and marks:
            body = ast.parse("raise RuntimeError('this check was not imported, for it was not to run')").body
            node.decorator_list, node.body, node.returns = list[ast.expr](marks), [*body], None
            for argument in node.args.args:
                argument.annotation = None
            kept.append(ast.fix_missing_locations(node))
    return ast.Module(kept, [])
