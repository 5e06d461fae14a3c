"""A notebook as the module it would be: its code is read and never run, and what cannot be read is told."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from deepdive.course import Course
from deepdive.grading.intake import MAX_BYTES, take
from deepdive.grading.notebooks import NotANotebook, extract


def notebook(*cells: str | list[str], **more: Any) -> bytes:
    code = [{"cell_type": "code", "source": source, "outputs": []} for source in cells]
    return json.dumps({"cells": code, "nbformat": 4, **more}).encode()


def module(*cells: str | list[str]) -> str:
    return extract(notebook(*cells)).source.decode()


def test_functions_imports_classes_and_assignments_are_taken_in_order() -> None:
    cells = ("import numpy as np", "LIMIT = 3", "class A:\n    pass", ["def f(x):\n", "    return x\n"])
    assert module(*cells) == "import numpy as np\nLIMIT = 3\nclass A:\n    pass\ndef f(x):\n    return x\n"


def test_what_only_does_something_is_left_out() -> None:
    assert module("print('hi')\nfor i in range(3):\n    train()\nassert f(1) == 1\nx = 1") == "x = 1\n"


def test_what_shares_a_line_with_an_import_is_left_out_too() -> None:
    assert module("import os; os.system('ls'); x = 1") == "import os\nx = 1\n"


def test_cells_out_of_order_are_taken_as_they_stand() -> None:
    """The one that is written last counts, whatever was run last."""
    found: dict[str, Any] = {}
    exec(module("def f():\n    return g()", "def g():\n    return 1", "def g():\n    return 2"), found)
    assert found["f"]() == 2


def test_magics_and_shell_lines_are_left_out() -> None:
    cell = "%matplotlib inline\n!pip install torch\nfiles = !ls\nt = %timeit -o f()\nf?\nif True:\n    !ls\nx = 1"
    assert extract(notebook(cell)).problems == ()
    assert module(cell) == "x = 1\n"


@pytest.mark.parametrize("first", ["%%bash", "%%html", "  %%timeit", "%%writefile a.py"])
def test_a_cell_in_another_language_is_left_out(first: str) -> None:
    assert module(f"{first}\nx = 1", "y = 2") == "y = 2\n"


@pytest.mark.parametrize("first", ["%%time", "%%capture output"])
def test_a_cell_that_is_only_timed_is_python(first: str) -> None:
    assert module(f"{first}\ndef f():\n    return 1") == "def f():\n    return 1\n"


@pytest.mark.parametrize("source", ["x = (7\n     % 4\n)", "text = '''\n% of all\n!\nwhy?\n'''"])
def test_a_line_that_only_looks_like_a_magic_stays(source: str) -> None:
    assert module(source) == f"{source}\n"


def test_a_future_import_comes_first_wherever_it_was() -> None:
    source = module("import os", "from __future__ import annotations\ndef f(x: NotDefined):\n    pass")
    assert source.startswith("from __future__ import annotations\n")
    exec(compile(source, "answers", "exec"), {})


def test_decorators_stay_with_their_function() -> None:
    assert module("import functools\n\n@functools.cache\n@functools.wraps(len)\ndef f(): return 1; \n") == (
        "import functools\n@functools.cache\n@functools.wraps(len)\ndef f(): return 1;\n"
    )


def test_line_endings_of_all_systems_are_read() -> None:
    assert module("def f():\r\n    return 1\r\n", "x = 1\ry = 2") == "def f():\n    return 1\nx = 1\ny = 2\n"


def test_a_cell_that_is_no_python_is_told_by_number_and_line_and_the_others_are_taken() -> None:
    found = extract(notebook("x = 1", "a = 1\ndef f(:\n    pass", "y = 2"))
    assert found.source == b"x = 1\ny = 2\n"
    assert found.problems == ("cell 2 is no Python on line 2, and was left out",)


def test_cells_are_counted_as_the_notebook_shows_them() -> None:
    cells = [{"cell_type": "markdown", "source": "# Hour 1"}, {"cell_type": "code", "source": "def"}]
    (problem,) = extract(json.dumps({"cells": cells}).encode()).problems
    assert problem.startswith("cell 2 ")


@pytest.mark.parametrize(
    "source", ["x = 1\x00", "\ud800 = 1", "-" * 200_000 + "1", "1" + "+1" * 200_000, "(" * 200_000]
)
def test_code_that_breaks_a_parser_costs_its_own_cell(source: str) -> None:
    found = extract(notebook(source, "y = 2"))
    assert found.source == b"y = 2\n"
    assert "cell 1" in found.problems[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"cells": {}}',
        b'{"worksheets": []}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"x" * (17 << 20),
    ],
)
def test_what_is_no_notebook_is_refused(content: bytes) -> None:
    with pytest.raises(NotANotebook, match="not a notebook"):
        extract(content)


def test_strange_cells_are_passed_over() -> None:
    cells: list[Any] = [
        3,
        None,
        {},
        {"cell_type": 7},
        {"cell_type": "code"},
        {"cell_type": "code", "source": [1, "x = 1"]},
    ]
    assert extract(json.dumps({"cells": cells}).encode()).source == b"x = 1\n"


def test_outputs_may_hold_what_only_pythons_json_knows() -> None:
    content = b'{"cells": [{"cell_type": "code", "source": "x = 1", "outputs": [NaN, "\\ud83d"]}]}'
    assert extract(content).source == b"x = 1\n"


def test_two_hundred_megabytes_of_outputs_are_dropped(small_course: Course, tmp_path: Path) -> None:
    path = tmp_path / "hour1_small.ipynb"
    with path.open("wb") as file:
        file.write(b'{"cells": [{"cell_type": "code", "source": ["x = 1"], "outputs": ["')
        for _ in range(200):
            file.write(b"a" * (1 << 20))
        file.write(b'"]}]}')
    submission = take(path, small_course)
    assert submission.files == {"hour1_small.py": b"x = 1\n"}
    assert submission.refused == ()


@pytest.mark.parametrize("megabytes_of_outputs", [0, 17])
def test_more_code_than_a_file_may_have_is_refused(megabytes_of_outputs: int) -> None:
    with pytest.raises(NotANotebook, match="larger than 1 MiB"):
        extract(notebook(*["#" * (MAX_BYTES // 4)] * 20, outputs="a" * (megabytes_of_outputs << 20)))


def test_many_statements_take_no_more_than_their_share_of_time() -> None:
    began = time.process_time()
    extract(notebook("a=1\n" * 5_000))
    few = time.process_time() - began
    began = time.process_time()
    extract(notebook("a=1\n" * 40_000))
    assert time.process_time() - began < 30 * max(few, 0.05)


def test_a_notebook_is_handed_in_like_a_file_and_its_problems_are_kept(small_course: Course, tmp_path: Path) -> None:
    path = tmp_path / "hour1_small (1).ipynb"
    path.write_bytes(notebook("def double(x):\n    return x + x", "def ("))
    submission = take(path, small_course)
    assert submission.files == {"hour1_small.py": b"def double(x):\n    return x + x\n"}
    assert submission.refused == ("hour1_small (1).ipynb: cell 2 is no Python on line 1, and was left out",)


def test_what_a_notebook_does_is_never_done(small_course: Course, tmp_path: Path) -> None:
    left = tmp_path / "left"
    path = tmp_path / "hour1_small.ipynb"
    path.write_bytes(notebook(f"!touch {left}", f"open({str(left)!r}, 'w')", f"x = open({str(left)!r}, 'w')"))
    assert take(path, small_course).files
    assert not left.exists()
