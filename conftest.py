"""Plain `pytest` in this folder runs the checks on the answers in exercises/ and prints the board."""

import sys
from importlib.util import find_spec

if sys.version_info < (3, 11):  # noqa: UP036 - who runs an older Python should read a sentence
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"deepdive needs Python 3.11 or newer; this is Python {version} ({sys.executable}).")

if missing := [name for name in ("msgspec", "numpy", "rich") if find_spec(name) is None]:
    activate = r".venv\Scripts\activate" if sys.platform == "win32" else "source .venv/bin/activate"
    sys.exit(
        f"This Python, {sys.executable}, has no {missing[0]}: it is not the one the kit was installed for. "
        f"In every new terminal, first: {activate}   (Not installed yet? make start)"
    )

pytest_plugins = ["deepdive.pytest_plugin"]
