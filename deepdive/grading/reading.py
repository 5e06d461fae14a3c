"""A file of answers as a sequence of tokens, in which only what its author decided is left to be compared.

Comments, docstrings, layout and the texts of messages are left out, and every name that the file itself binds becomes
the same sign: whoever renames a copy's variables, or rewrites its comments, has the same tokens. Names from elsewhere
(`np.exp` is `exp` wherever it is called) stay, for they cannot be renamed.

Files are parsed, never run; and as a parser can be made to take very long, or to fall over, in a process of its own:

    python -m deepdive.grading.reading
"""

from __future__ import annotations

import ast
import io
import keyword
import subprocess
import sys
import threading
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from deepdive.values import shorten

MOST_TOKENS = 20_000  # of a file that are read; a whole hour's solution has 2,000
SECONDS = 10.0  # for one file; a whole hour's solution takes 0.02
_MEMORY_BYTES = 2 << 30
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)  # from Python 3.12 on; before, an f-string is one token
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
_TEXT = "''"  # stands for any text
_NAME = "name"  # stands for any name that the file binds
_END = ";"  # of a statement


class Reading(msgspec.Struct, frozen=True):
    """What a file holds.

    Args:
        tokens: in the file's order.
        lines: the line on which each of them begins, from 1.
        problem: why there are none; or what was not read.
    """

    tokens: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    problem: str = ""


class _Question(msgspec.Struct, frozen=True):
    content: bytes


def text_of(content: bytes) -> str:
    """A file's text, as Python reads it: in the coding that it names, with every end of a line as `\\n`.

    Raises:
        SyntaxError: there is no such coding.
        LookupError: it is no coding of texts.
        UnicodeDecodeError: it is not in that coding.
    """
    coding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(coding).replace("\r\n", "\n").replace("\r", "\n")


def read(content: bytes) -> Reading:
    """Read a file in this process: nothing but the parser stands between it and its author."""
    try:
        text = text_of(content)
        bound = _bound(ast.parse(text))
        tokens, lines = list[str](), list[int]()
        for token, line in _tokens(text, bound):
            if len(tokens) == MOST_TOKENS:
                return Reading(tuple(tokens), tuple(lines), f"read up to line {line} only: {MOST_TOKENS:,} tokens")
            tokens.append(token)
            lines.append(line)
        return Reading(tuple(tokens), tuple(lines))
    except SyntaxError as error:
        where = f" on line {error.lineno}" if error.lineno else ""
        return Reading(problem=f"no Python{where}: {shorten(error.msg or '', 100)}")
    except (ValueError, LookupError, RecursionError, MemoryError, tokenize.TokenError) as error:
        return Reading(problem=f"no Python that can be read: {shorten(str(error), 100) or type(error).__name__}")


def _bound(tree: ast.Module) -> set[str]:
    """The names that a file binds anywhere: variables, parameters, functions, attributes, names of imports."""
    names = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)):
                names.add(name)
    return names


def _tokens(text: str, bound: set[str]) -> Iterator[tuple[str, int]]:
    """Statement by statement; one that is nothing but a text is a docstring."""
    statement: list[tuple[str, int]] = []
    texts = 0  # f-strings that are open
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == _FSTRING_END:
            texts -= 1
        elif token.type == tokenize.NEWLINE or (token.string == _END and not texts):
            if any(sign != _TEXT for sign, _ in statement):
                yield from statement
                yield _END, statement[0][1]
            statement = []
        elif texts or token.type == _FSTRING_START:
            texts += token.type == _FSTRING_START
            if token.type == _FSTRING_START and texts == 1:
                _add_text(statement, token.start[0])
        elif token.type == tokenize.STRING:
            _add_text(statement, token.start[0])
        elif token.type not in _NO_CODE:
            own = token.type == tokenize.NAME and token.string in bound and not keyword.iskeyword(token.string)
            statement.append((_NAME if own else token.string, token.start[0]))


def _add_text(statement: list[tuple[str, int]], line: int) -> None:
    if not statement or statement[-1][0] != _TEXT:  # texts side by side are one text
        statement.append((_TEXT, line))


class Reader:
    """Reads files in a process that is replaced when it takes too long, or dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def read(self, content: bytes) -> Reading:
        """Read a file; whatever it does to its reader is told as its problem."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deepdive.grading.reading"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is not for it
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(SECONDS, give_up)
        timer.start()
        line = b""
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(msgspec.json.encode(_Question(content)) + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
        finally:
            timer.cancel()
        if late.is_set() or not line.endswith(b"\n"):
            self._end()
        if line.endswith(b"\n"):
            return msgspec.json.decode(line, type=Reading)
        why = f"it took longer than {SECONDS:g} s" if late.is_set() else "it took the parser's process down"
        return Reading(problem=f"could not be read: {why}")

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _serve(questions: BinaryIO, replies: BinaryIO) -> None:
    for line in questions:
        replies.write(msgspec.json.encode(read(msgspec.json.decode(line, type=_Question).content)) + b"\n")
        replies.flush()


if __name__ == "__main__":
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _serve(sys.stdin.buffer, sys.stdout.buffer)
