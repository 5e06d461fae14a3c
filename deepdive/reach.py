"""What of a file can decide how one of its functions behaves, so that one knows which edits matter to it.

A function is reached by itself, by the functions and classes of its module that it names, by those they name, and by
every statement that runs when the module is loaded. Comments and layout reach nothing.
"""

from __future__ import annotations

import ast
from hashlib import sha256
from pathlib import Path

_NOT_SEEN_THROUGH = {"globals", "locals", "vars", "eval", "exec", "getattr", "__import__", "import_module"}
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def digest_of(tree: ast.Module, function: str, folder: Path | None = None) -> str:
    """A digest that changes with everything in a file that can change what a function does.

    Args:
        tree: the file, parsed.
        function: its name.
        folder: where the file is; files beside it that it imports count as a whole.
    """
    found = sha256()
    for node in reached(tree, function):
        found.update(ast.dump(node).encode())
    for path in _imported_beside(tree, folder) if folder else ():
        found.update(path.read_bytes())
    return found.hexdigest()


def reached(tree: ast.Module, function: str) -> list[ast.stmt]:
    """The top-level statements of a file that reach a function, in the file's order."""
    defined = {node.name: node for node in tree.body if isinstance(node, _Definition)}
    loose = [node for node in tree.body if not isinstance(node, _Definition)]
    names = [function, *(name for node in loose for name in _names(node))]
    wanted: set[str] = set()
    while names:
        name = names.pop()
        if name in _NOT_SEEN_THROUGH:
            return tree.body
        if name in defined and name not in wanted:
            wanted.add(name)
            names += _names(defined[name])
    return [node for node in tree.body if not isinstance(node, _Definition) or node.name in wanted]


def _names(node: ast.AST) -> list[str]:
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]


def _imported_beside(tree: ast.Module, folder: Path) -> list[Path]:
    """The files of a folder, if the tree imports one of them: which of them that one imports, nobody asks."""
    roots = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or ".").partition(".")[0] if not node.level else ".")
    beside = any((folder / f"{root}.py").exists() or root in (".", folder.name) for root in roots)
    return sorted(folder.glob("*.py")) if beside else []
