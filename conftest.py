"""Plain `pytest` in this folder runs the checks on the answers in exercises/ and prints the board."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - who runs an older Python should read a sentence
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"deepdive needs Python 3.11 or newer; this is Python {version} ({sys.executable}).")

pytest_plugins = ["deepdive.pytest_plugin"]
