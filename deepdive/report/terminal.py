"""Blocks and board in pytest's own terminal: its width, its colours, and only the signs it can show."""

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
    from _pytest.terminal import TerminalReporter


def write_blocks(reporter: TerminalReporter, course: Course, verdicts: Sequence[Verdict]) -> None:
    """Write what went wrong."""
    for text in blocks(course, verdicts, reporter._tw.fullwidth):
        first, *rest = (text if _unicode(reporter) else ascii_only(text)).splitlines()
        reporter.write_line("")
        reporter.write_line(first, red=True, bold=True)
        label = ""
        for line in rest:
            head, value = line[:12], line[12:]
            label = head.strip() if head.strip() in LABELS else label
            if not head.strip() or re.fullmatch(r"  \w+ {2,}", head):
                reporter.write(head, light=True)
                reporter.write_line(value, **({"yellow": True} if label == "likely" else {}))
            else:
                reporter.write_line(line)


def write_board(reporter: TerminalReporter, board: Board, *, brief: bool) -> None:
    """Write the board; `brief` leaves the single exercises out."""
    reporter.write_line("")
    width, colour = reporter._tw.fullwidth, reporter._tw.hasmarkup
    reporter.write_line(board.text(width, colour=colour, unicode=_unicode(reporter), brief=brief))


def _unicode(reporter: TerminalReporter) -> bool:
    encoding = getattr(reporter._tw._file, "encoding", None) or "ascii"
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
