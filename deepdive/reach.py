"""What of a file can decide how one of its functions behaves, so that one knows which edits matter to it.

A function is reached by itself, by the functions and classes of its module that it names, by those they name, and by
every statement that runs when the module is loaded. Comments and layout reach nothing.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from deepdive.source import lines_of, names_in

_NOT_SEEN_THROUGH = {"globals", "locals", "vars", "eval", "exec", "getattr", "__import__", "import_module"}
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def digest_of(tree: ast.Module, function: str) -> str:
    """What `Reach.digest` gives, for who asks once."""
    return Reach(tree).digest(function)


@dataclass(frozen=True)
class _Seen:
    """What there is to know of a statement: the names it uses, and a digest of all but its layout."""

    names: list[str]
    digest: bytes


Memory = dict[tuple[bytes, int, int | None], _Seen]


class Reach:
    """What reaches the functions of one file; a statement is looked at once, however many functions are asked for.

    Args:
        tree: the file, parsed.
        folder: where the file is; files beside it that it imports count as a whole.
        source: the file's text, for `lines`.
        memory: what was found in statements of earlier versions of the file, by their text; is added to.
    """

    def __init__(
        self, tree: ast.Module, folder: Path | None = None, source: bytes = b"", memory: Memory | None = None
    ) -> None:
        self._tree, self._folder = tree, folder
        self._source = source.splitlines()
        self._memory = {} if memory is None else memory
        self._seen: dict[ast.stmt, _Seen] = {}

    def digest(self, function: str) -> str:
        """A digest that changes with everything in the file that can change what a function does."""
        found = sha256(self._beside)
        for node in self.reached(function):
            found.update(self._look(node).digest)
        return found.hexdigest()

    def lines(self, function: str) -> str:
        """A digest of the very lines that can show up in a traceback of the function, with their numbers."""
        found = sha256()
        for node in self.reached(function):
            here = lines_of(node)
            found.update(b"%d\n%b\n" % (here.start, b"\n".join(self._source[here])))
        return found.hexdigest()

    def reached(self, function: str) -> list[ast.stmt]:
        """The top-level statements that reach a function, in the file's order."""
        names = [function, *self._loose]
        wanted: set[str] = set()
        while names:
            name = names.pop()
            if name in _NOT_SEEN_THROUGH:
                return self._tree.body
            if name in self._defined and name not in wanted:
                wanted.add(name)
                names += self._names(self._defined[name])
        return [node for node in self._tree.body if not isinstance(node, _Definition) or node.name in wanted]

    @cached_property
    def _defined(self) -> dict[str, ast.stmt]:
        return {node.name: node for node in self._tree.body if isinstance(node, _Definition)}

    @cached_property
    def _loose(self) -> list[str]:
        """What is named by statements that run when the file is loaded."""
        return [name for node in self._tree.body if not isinstance(node, _Definition) for name in self._names(node)]

    def _names(self, node: ast.stmt) -> list[str]:
        return self._look(node).names

    def _look(self, node: ast.stmt) -> _Seen:
        if node not in self._seen:
            text = b"\n".join(self._source[lines_of(node)]), node.col_offset, node.end_col_offset
            if text not in self._memory or not self._source:
                self._memory[text] = _Seen(names_in(node), sha256(ast.dump(node).encode()).digest())
            self._seen[node] = self._memory[text]
        return self._seen[node]

    @cached_property
    def _beside(self) -> bytes:
        """A digest of the files beside this one, if it imports one: which of them that one imports, nobody asks."""
        if self._folder is None or not self._imports_from(self._folder):
            return b""
        found = sha256()
        for path in sorted(self._folder.glob("*.py")):
            found.update(path.read_bytes())
        return found.digest()

    def _imports_from(self, folder: Path) -> bool:
        roots = set[str]()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots.add((node.module or ".").partition(".")[0] if not node.level else ".")
        return any((folder / f"{root}.py").exists() or root in (".", folder.name) for root in roots)
