"""Blocks and board in a terminal: its width, its colours, and only the signs it can show."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepdive.course import Course
from deepdive.report.block import LABELS, ascii_only, blocks
from deepdive.report.board import Board
from deepdive.verdict import Verdict

if TYPE_CHECKING:
    from _pytest._io import TerminalWriter


def write_blocks(terminal: TerminalWriter, course: Course, verdicts: Sequence[Verdict]) -> None:
    """Write what went wrong, below pytest's own output or in a terminal of its own."""
    for text in blocks(course, verdicts, terminal.fullwidth):
        terminal.line()
        write_block(terminal, text)


def write_block(terminal: TerminalWriter, text: str) -> None:
    """Write one block, its labels and its advice told apart by colour."""
    first, *rest = (text if _unicode(terminal) else ascii_only(text)).splitlines()
    terminal.line(first, red=True, bold=True)
    label = ""
    for line in rest:
        head, value = line[:12], line[12:]
        label = head.strip() if head.strip() in LABELS else label
        if not head.strip() or re.fullmatch(r"  \w+ {2,}", head):
            terminal.write(head, light=True)
            terminal.line(value, **({"yellow": True} if label == "likely" else {}))
        else:
            terminal.line(line)


def write_line(terminal: TerminalWriter, text: str, **markup: bool) -> None:
    """Write a line, in the signs that the terminal can show."""
    terminal.line(text if _unicode(terminal) else ascii_only(text), **markup)


def write_board(terminal: TerminalWriter, board: Board, *, brief: bool) -> None:
    """Write the board; `brief` leaves the single exercises out."""
    terminal.line()
    terminal.line(board.text(terminal.fullwidth, colour=terminal.hasmarkup, unicode=_unicode(terminal), brief=brief))


def _unicode(terminal: TerminalWriter) -> bool:
    encoding = getattr(terminal._file, "encoding", None) or "ascii"
    try:
        "✓█░".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def say(text: str) -> None:
    """Print what may hold a submission's own words: nothing in it can move the cursor, colour or reorder a line."""
    text = "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = ascii_only(text)
    print(text, flush=True)
