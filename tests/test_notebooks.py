"""Notebooks: made from the same source, checked where they stand, and carried to modules and back."""

import ast
import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

from deepdive.bench.magics import _as_in_a_module, checked, told
from deepdive.bench.notebooks import module_of, notebook_of, solved
from deepdive.build import stub_of
from deepdive.course import Course, Hour, load_course
from deepdive.diagnose import known_mistakes
from deepdive.source import function_in, names_in
from deepdive.verdict import read_record
from tests.conftest import ROOT, SOLUTION, Answers, Run

COURSE = load_course(ROOT)


@pytest.mark.parametrize("hour", COURSE.hours, ids=lambda hour: hour.topic)
def test_a_module_survives_the_way_to_a_notebook_and_back(hour: Hour) -> None:
    source = stub_of((ROOT / "solutions" / hour.file_name).read_text())
    back = module_of(notebook_of(COURSE, hour, source))
    code = [line for line in source.splitlines() if line.strip()]
    assert [line for line in back.splitlines() if line.strip()] == code


@pytest.mark.parametrize("hour", COURSE.hours, ids=lambda hour: hour.topic)
def test_a_notebook_is_valid_and_has_a_check_after_every_exercise(hour: Hour) -> None:
    notebook = notebook_of(COURSE, hour, stub_of((ROOT / "solutions" / hour.file_name).read_text()))
    nbformat.validate(notebook)
    checks = [cell.source for cell in notebook.cells if cell.source.startswith("%check")]
    assert checks == [f"%check {exercise.name}" for exercise in hour.exercises]
    assert notebook == notebook_of(COURSE, hour, stub_of((ROOT / "solutions" / hour.file_name).read_text()))


@pytest.mark.parametrize("hour", COURSE.hours, ids=lambda hour: hour.topic)
def test_whatever_an_exercise_uses_stands_above_it(hour: Hour) -> None:
    """So that its check can run as soon as its own cell has."""
    tree = ast.parse((ROOT / "solutions" / hour.file_name).read_text())
    defined = {node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for exercise in hour.exercises:
        function = function_in(tree, exercise.name)
        assert function is not None
        below = [name for name in names_in(function) if defined.get(name, 0) > function.lineno]
        assert below == [], exercise.name


def test_a_check_may_start_an_event_loop_within_the_kernels_own() -> None:
    async def in_a_kernel() -> int:
        loop = asyncio.get_running_loop()
        with _as_in_a_module():
            found = asyncio.run(asyncio.sleep(0, 7))
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)
        return found

    assert asyncio.run(in_a_kernel()) == 7


@pytest.mark.parametrize(
    "hour",
    [pytest.param(hour, marks=[pytest.mark.slow] if hour.number > 1 else []) for hour in COURSE.hours],
    ids=lambda hour: hour.topic,
)
def test_the_notebook_of_a_solution_runs_from_top_to_bottom_and_every_check_passes(hour: Hour) -> None:
    notebook = solved(COURSE, hour)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(ROOT)}}).execute()
    told = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.source.startswith("%check")
        for output in cell.outputs
        if output["output_type"] == "execute_result"
    ]
    assert len(told) == len(hour.exercises)
    assert [text for text in told if not text.startswith("✓")] == []


HOUR_1 = COURSE.hour(1)
MISTAKES = {exercise.name: known_mistakes(COURSE, exercise) for exercise in HOUR_1.exercises}
ROUNDS = max(map(len, MISTAKES.values()))  # in each, every exercise is answered by one of its mistakes


def in_the_notebook(code: str) -> dict[str, str]:
    """What `%check` says of every exercise of hour 1 when these cells have been run in a kernel."""
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "deepdive")
    assert shell.run_cell(code).success
    return {name: shell.run_line_magic("check", name).lines for name in MISTAKES}


def in_the_module(code: str, folder: Path) -> dict[str, str]:
    """What pytest's verdicts on the same code in a module come to, in the same words."""
    folder.mkdir()
    (folder / HOUR_1.file_name).write_text(code, encoding="utf-8")
    record = folder / "record.json"
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--against={folder}", "--hour=1"]
    subprocess.run([sys.executable, *command, "--deepdive-json", str(record)], cwd=ROOT, capture_output=True)
    verdicts = read_record(record).verdicts
    return {e.name: told(e, [v for v in verdicts if v.exercise == e.name]).lines for e in HOUR_1.exercises}


def without_frames(lines: str) -> str:
    """A block without the lines of code that raised: a mistake stands in another file than the module's own."""
    return "\n".join(line for line in lines.splitlines() if not re.match(r" {4,11}\S| +[~^]+$", line))


@pytest.mark.parametrize(
    "kind", ["stub", 0, *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("solution", *range(1, ROUNDS)))]
)
def test_a_notebook_and_a_module_get_the_same_words(kind: str | int, tmp_path: Path) -> None:
    solution = (ROOT / "solutions" / HOUR_1.file_name).read_text()
    if isinstance(kind, int):
        chosen = {name: known[kind % len(known)].name for name, known in MISTAKES.items()}
        imports = (f"from checks.mistakes.hour1_attention import {wrong} as {name}" for name, wrong in chosen.items())
        code = "\n".join([f"import sys\nsys.path.insert(0, {str(ROOT)!r})", *imports]) + "\n"
    else:
        code = solution if kind == "solution" else stub_of(solution)
    noted, moduled = in_the_notebook(code), in_the_module(code, tmp_path / "answers")
    assert {name: without_frames(lines) for name, lines in noted.items()} == {
        name: without_frames(lines) for name, lines in moduled.items()
    }
    assert {lines[0] for lines in noted.values()} == {"✓" if kind == "solution" else "·" if kind == "stub" else "✗"}


@pytest.fixture
def in_small_course(small_course: Course, monkeypatch: pytest.MonkeyPatch) -> Course:
    monkeypatch.chdir(small_course.root)
    return small_course


def test_what_is_not_defined_is_told() -> None:
    assert "run its cell first" in checked("softmax", {}).lines
    assert "did you mean softmax?" in checked("sofmax", {}).lines


def test_a_wrong_answer_has_the_six_lines_in_text_and_html() -> None:
    told = checked("softmax", {"softmax": lambda x, axis=-1: x})
    assert told.lines.startswith("✗ softmax")
    assert "  expected  " in told.lines
    assert "<pre" in told._repr_html_()
    assert not told.right


def test_what_an_answer_says_is_no_html() -> None:
    def softmax(x: object, axis: int = -1) -> object:
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in checked("softmax", {"softmax": softmax})._repr_html_()


def test_answers_are_carried_both_ways_and_nothing_is_lost(run: Run, answers: Answers, small_course: Course) -> None:
    answers(SOLUTION.replace("    ### BEGIN SOLUTION\n", "").replace("    ### END SOLUTION\n", ""))
    module = small_course.root / "exercises" / "hour1_small.py"
    before = module.read_text()
    assert run("deepdive", "notebook", "import").returncode == 0
    path = small_course.root / "notebooks" / "hour1_small.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace("return 2 * x", "return x + x")
    path.write_text(json.dumps(notebook))
    assert run("deepdive", "notebook", "export").returncode == 0
    assert "return x + x" in module.read_text()
    assert "%check" not in module.read_text()
    assert run("pytest").returncode == 0
    assert run("deepdive", "undo").returncode == 0
    assert module.read_text() == before


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("notebook", "export"), "deepdive notebook build"),
        (("notebook", "sideways"), "there are build, export"),
        (("notebook", "build", "7"), "there is no hour 7"),
    ],
)
def test_a_slip_is_told(run: Run, command: tuple[str, ...], told: str) -> None:
    result = run("deepdive", *command)
    assert result.returncode == 2
    assert told in result.stderr


def test_building_never_replaces_a_notebook(run: Run, small_course: Course) -> None:
    assert "written" in run("deepdive", "notebook", "build").stdout
    path: Path = small_course.root / "notebooks" / "hour1_small.ipynb"
    path.write_text("mine")
    run("deepdive", "notebook", "build")
    assert path.read_text() == "mine"
