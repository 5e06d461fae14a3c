"""The `deepdive` command: one thin layer over the modules that do the work."""

from __future__ import annotations

import io
import os
import signal
import sys

from deepdive.cli.common import app, stop

# Importing them adds their commands to the application, in the order in which --help lists them.
from deepdive.cli import learning, grading, upkeep  # noqa: F401  # isort: skip

__all__ = ["app", "main"]


def main() -> None:
    """Run the command; what a person did wrong ends in a sentence, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows a question mark
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app(prog_name="deepdive")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        stop(f"{error.filename or 'a file'}: {error.strerror or error}")
