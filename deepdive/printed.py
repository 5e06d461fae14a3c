"""What an answer prints: caught, and short enough to be shown."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST = 2_000  # characters that are shown
_READ = 16 << 20  # bytes; who prints more has other worries


def capped(text: str) -> str:
    """The beginning and the end of what was printed, without what would move the cursor."""
    if len(text) > MOST:
        half = MOST // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "?", text)


@contextmanager
def caught() -> Iterator[Callable[[], str]]:
    """Keep what is printed in the block off the terminal, compiled code's words included; gives what reads it.

    What goes to the standard error is lost: libraries warn there.
    """
    with tempfile.TemporaryFile() as told, open(os.devnull, "wb") as lost:
        kept = [os.dup(number) for number in (1, 2)]
        _flush()
        os.dup2(told.fileno(), 1)
        os.dup2(lost.fileno(), 2)

        def read() -> str:
            _flush()
            told.seek(0)
            return told.read(_READ).decode("utf-8", "replace")

        try:
            yield read
        finally:
            _flush()
            for number, descriptor in zip((1, 2), kept, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
