"""Which edits matter to which answer."""

import ast
from pathlib import Path

import pytest

from deepdive.reach import Reach

SOURCE = '''
"""A file."""
import math

SCALE = 2


def helper(x):
    return SCALE * x


class Box:
    def open(self):
        return deeper(1)


def deeper(x):
    return x


def alone(x):
    """Says what it does."""
    return x + 1  # a comment


def uses(x):
    return helper(x), Box()


def looks_around(x):
    return globals()["helper"](x)
'''


def changed(old: str, new: str) -> set[str]:
    """The functions that an edit reaches."""
    assert old in SOURCE
    before, after = Reach(ast.parse(SOURCE)), Reach(ast.parse(SOURCE.replace(old, new)))
    return {name for name in ("alone", "uses", "looks_around") if before.digest(name) != after.digest(name)}


@pytest.mark.parametrize(
    ("old", "new", "reached"),
    [
        ("x + 1", "x + 2", {"alone", "looks_around"}),
        ("SCALE * x", "SCALE + x", {"uses", "looks_around"}),
        ("def deeper(x):\n    return x", "def deeper(x):\n    return 2 * x", {"uses", "looks_around"}),  # by a class
        ("SCALE = 2", "SCALE = 3", {"alone", "uses", "looks_around"}),  # runs when the file is loaded
        ("# a comment", "# another one", set()),
        ("def alone(x):", "\n\n\ndef alone(x):", set()),
        ("helper(x), Box()", "helper(x), Box(), 1", {"uses", "looks_around"}),
    ],
)
def test_an_edit_reaches_the_functions_that_can_tell(old: str, new: str, reached: set[str]) -> None:
    assert changed(old, new) == reached


def test_a_file_that_is_imported_from_beside_reaches_too(tmp_path: Path) -> None:
    tree = ast.parse("from other import f\n\ndef g():\n    return f()\n")
    (tmp_path / "other.py").write_text("def f(): return 1")
    before = Reach(tree, tmp_path).digest("g")
    (tmp_path / "other.py").write_text("def f(): return 2")
    assert Reach(tree, tmp_path).digest("g") != before
