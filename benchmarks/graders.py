"""The same five checks on the same submissions by deepdive, by Otter and by nbgrader, one after the other.

The checks are the five of hour 1's `softmax`: deepdive's own, in a course cut down to that one exercise, and the same
written with NumPy's assertions as an Otter test file and as nbgrader's test cells. The submissions are right ones,
known mistakes and stubs, each unlike any other by a comment. Everybody first grades one of them, so that no disk is
cold, and is then timed on all. How many checks each submission passes is compared: they have to agree.

    python benchmarks/graders.py 40

Otter and nbgrader are installed into environments of their own, once, below `--venvs`.
"""

from __future__ import annotations

import argparse
import ast
import csv
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from textwrap import dedent, indent
from time import monotonic
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.build import stub_of
from deepdive.course import load_course
from deepdive.grading.classrun import marks
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.jobs import Keys
from deepdive.grading.policy import Policy
from deepdive.proof import Kind, known_answers
from deepdive.verdict import State

ROOT = Path(__file__).parent.parent
FILE = "hour1_attention.py"
EXERCISE = "softmax"
PACKAGES = {
    "otter": ("otter-grader==7.0.0", "ipykernel==7.4.0", "numpy==2.4.6"),
    "nbgrader": ("nbgrader==0.9.6", "numpy==2.4.6"),
}
BESIDE = """import numpy as np


def reference(x, axis=-1):
    exps = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf))
    return exps / exps.sum(axis=axis, keepdims=True)


def agree(got, expected, dtype=np.float64, tolerance=1e-6):
    assert isinstance(got, np.ndarray) and got.dtype == dtype, f"{type(got)}, {getattr(got, 'dtype', '')}"
    np.testing.assert_allclose(got, expected, atol=tolerance, rtol=tolerance)


def refuses(softmax, naming, x, axis=-1):
    try:
        softmax(x, axis)
    except ValueError as error:
        assert str(naming) in str(error), str(error)
    else:
        raise AssertionError("nothing was refused")
"""
CHECKS = {
    "turns_logits_into_probabilities": """
        counts = np.array([[1.0, 2.0, 5.0], [6.0, 1.0, 3.0], [4.0, 4.0, 12.0]])
        totals = np.array([[8.0], [10.0], [20.0]])
        agree(softmax(np.log(counts)), counts / totals)
        agree(softmax(np.log(counts[:2])), counts[:2] / totals[:2])
        agree(softmax(np.log(counts[0])), np.array([0.125, 0.25, 0.625]))
    """,
    "works_along_any_axis": """
        rng = np.random.default_rng(0)
        for x in (rng.normal(size=(3, 3, 3)), rng.normal(size=(2, 3, 4))):
            for axis in (1, 0, -1, -2):
                agree(softmax(x, axis=axis), reference(x, axis))
    """,
    "stays_finite_for_large_logits": """
        levels = np.array([[1e4], [0.0], [-1e4]])
        agree(softmax(levels + np.log([1.0, 2.0, 5.0])), np.tile([0.125, 0.25, 0.625], (3, 1)))
        agree(softmax(np.array([[1e4, -1e4, 1e4], [0.0, -np.inf, 0.0]])), np.array([[0.5, 0.0, 0.5]] * 2))
    """,
    "keeps_float32_and_makes_integers_float64": """
        logits = np.array([[3, 1, 2], [0, 0, 5], [-4, 2, 2]])
        agree(softmax(logits.astype(np.float32)), reference(logits * 1.0), np.float32, 1e-5)
        agree(softmax(logits), reference(logits * 1.0))
        far_apart = np.array([[127, -128], [100, 100]], dtype=np.int8)
        agree(softmax(far_apart), np.array([[1.0, 0.0], [0.5, 0.5]]))
        in_uint8 = np.array([[3, 1, 2], [0, 0, 5]], dtype=np.uint8)
        agree(softmax(in_uint8), reference(in_uint8 * 1.0))
    """,
    "refuses_what_has_no_softmax": """
        refuses(softmax, "bool", np.array([True, False]))
        refuses(softmax, (3, 0), np.zeros((3, 0)))
        refuses(softmax, 7, np.zeros((2, 3)), 7)
        assert softmax(np.zeros((0, 3))).shape == (0, 3)
    """,
}
Passed = dict[str, int]  # by submission, how many of the checks it passes


@dataclass(frozen=True)
class Grader:
    """Something that grades.

    Args:
        name: of the command.
        isolation: what holds a submission back.
        grade: grades submissions, in a folder of its own; the seconds it took, without what is made once for a
            class, and what passed.
    """

    name: str
    isolation: str
    grade: Callable[[Path, Mapping[str, str]], tuple[float, Passed]]


JAIL = "namespaces of its own, no network, seccomp, limits; judged outside, by a process that never ran it"
NONE = "none: a Jupyter kernel with the user's files and network, in which the tests run, too"


def main(size: int, venvs: Path) -> None:
    graders = [
        Grader("deepdive", JAIL, partial(deepdive, workers=None)),
        Grader("deepdive, one process", JAIL, partial(deepdive, workers=1)),
        Grader("nbgrader autograde", NONE, partial(nbgrader, environment("nbgrader", venvs))),
        Grader("otter run", NONE, partial(otter, environment("otter", venvs))),
    ]
    submissions = sources(size)
    print(f"load {os.getloadavg()[0]:.1f} at the start", flush=True)
    print("| | seconds | submissions a minute | times nbgrader's | a submission runs in |")
    print("| --- | --- | --- | --- | --- |")
    found: list[tuple[Grader, float, Passed]] = []
    for grader in graders:
        graded(grader, dict(islice(submissions.items(), 1)))
        found.append((grader, *graded(grader, submissions)))
        print(f"{grader.name}: {found[-1][1]:.1f} s", file=sys.stderr, flush=True)
    slow = next(seconds for grader, seconds, _ in found if grader.name.startswith("nbgrader"))
    for grader, seconds, _ in found:
        rate = f"{60 * size / seconds:,.0f} | {slow / seconds:.1f}"
        print(f"| {grader.name} | {seconds:.1f} | {rate} | {grader.isolation} |")
    told = [passed for _, _, passed in found]
    differing = [name for name in submissions if len({passed.get(name) for passed in told}) > 1]
    print(f"\n{size - len(differing)} of {size} submissions pass as many checks with each")
    for name in differing:
        print(f"  {name}: {', '.join(str(passed.get(name)) for passed in told)}")


def graded(grader: Grader, submissions: Mapping[str, str]) -> tuple[float, Passed]:
    with tempfile.TemporaryDirectory() as folder:
        return grader.grade(Path(folder), submissions)


# ── submissions ─────────────────────────────────────────────────────────────────────────────────────────────────


def sources(size: int) -> dict[str, str]:
    """So many files with one function, by student: right, a mistake, right, a mistake, a stub, and so on."""
    right = cut(ROOT / "solutions" / FILE, keep={EXERCISE})
    wrong = cycle(mistakes(right))
    texts = cycle((lambda: right, lambda: next(wrong), lambda: right, lambda: next(wrong), lambda: stub_of(right)))
    return {f"s{number:02}": f"{text()}\n# {number}\n" for number, text in enumerate(islice(texts, size))}


def mistakes(right: str) -> list[str]:
    """Every known wrong answer, beside the right one, which it is made from."""
    course = load_course(ROOT)
    found = []
    for known in known_answers(course, course.exercise(EXERCISE)):
        if known.kind is Kind.MISTAKE:
            body = dedent(inspect.getsource(known.function))
            body = body[body.index("def ") :].replace(f"right.{EXERCISE}", "_right")
            renamed = re.sub(r"def \w+", f"def {EXERCISE}", body, count=1)
            found.append(f"{right}\n\n_right = {EXERCISE}\n\n\n{renamed}")
    return found


def cut(path: Path, keep: set[str]) -> str:
    """A module with these functions only; whatever else stands at its top level stays."""
    source = path.read_text(encoding="utf-8")
    nodes, lines = ast.parse(source).body, source.splitlines()
    starts = [min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))]) for node in nodes]
    ends = [*(start - 1 for start in starts[1:]), len(lines)]
    parts = [
        "\n".join(lines[start - 1 : end])
        for node, start, end in zip(nodes, starts, ends, strict=True)
        if not isinstance(node, ast.FunctionDef) or node.name in keep or _decorated_with(node, keep)
    ]
    return "\n".join(parts) + "\n"


def _decorated_with(node: ast.FunctionDef, names: set[str]) -> bool:
    """Whether one of the names is what a check or a mistake says it is of."""
    said = (constant.value for each in node.decorator_list for constant in ast.walk(each) if _is_text(constant))
    return not names.isdisjoint(said)


def _is_text(node: ast.AST) -> Any:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


# ── deepdive ────────────────────────────────────────────────────────────────────────────────────────────────────


def deepdive(folder: Path, submissions: Mapping[str, str], workers: int | None) -> tuple[float, Passed]:
    for name in ("solutions", "checks", "checks/mistakes"):
        (folder / name).mkdir(parents=True)
    kept = {EXERCISE, "scipy_softmax"}
    for name in (f"solutions/{FILE}", f"checks/test_{FILE}", f"checks/mistakes/{FILE}"):
        (folder / name).write_text(cut(ROOT / name, kept), encoding="utf-8")
    for student, source in submissions.items():
        place = folder / "class" / student
        place.mkdir(parents=True)
        (place / FILE).write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "deepdive.cli", "grade", "class", "--gradebook", "class.db"]
    seconds = timed(command + (["--workers", str(workers)] if workers else []), folder)
    course = load_course(folder)
    with open_gradebook(folder / "class.db") as book:
        seed = book.last_seed()
        assert seed is not None
        found = marks(book, course, Keys(course, seed), Policy())
    return seconds, {m.student.id: sum(v.state is State.PASSED for v in m.record.verdicts) for m in found}


# ── Otter ───────────────────────────────────────────────────────────────────────────────────────────────────────


def otter(venv: Path, folder: Path, submissions: Mapping[str, str]) -> tuple[float, Passed]:
    """One `otter run` a submission: there is no other way without Docker."""
    (folder / "tests").mkdir()
    (folder / "tests" / "softmax.py").write_text(otter_tests(), encoding="utf-8")
    run([venv / "otter", "generate", "-t", "tests", "-o", "autograder.zip", "--no-requirements"], folder)
    seconds, passed = 0.0, Passed()
    for student, source in submissions.items():
        write_notebook(folder / f"{student}.ipynb", [new_code_cell(source)])
        command = [venv / "otter", "run", f"{student}.ipynb", "-a", "autograder.zip", "-o", student, "--no-logo"]
        (folder / student).mkdir()
        seconds += timed(command, folder)
        results = json.loads((folder / student / "results.json").read_text(encoding="utf-8"))
        passed[student] = round(sum(float(test.get("score", 0)) for test in results["tests"]))
    return seconds, passed


def otter_tests() -> str:
    """A test file in which every case is worth a point."""
    head = 'OK_FORMAT = False\n\nfrom otter.test_files import test_case\n\nname = "softmax"\n'
    cases = [
        f"@test_case(points=1)\ndef test_{name}(softmax):\n" + indent(dedent(body).strip(), "    ")
        for name, body in CHECKS.items()
    ]
    return "\n\n\n".join([head + BESIDE, *cases]) + "\n"


# ── nbgrader ────────────────────────────────────────────────────────────────────────────────────────────────────


def nbgrader(venv: Path, folder: Path, submissions: Mapping[str, str]) -> tuple[float, Passed]:
    right = cut(ROOT / "solutions" / FILE, keep={EXERCISE})
    (folder / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "nlp"\n')
    write_notebook(folder / "source" / "hour1" / "hour1.ipynb", nbgrader_cells(right))
    run([venv / "nbgrader", "generate_assignment", "hour1"], folder)
    for student, source in submissions.items():
        write_notebook(folder / "submitted" / student / "hour1" / "hour1.ipynb", nbgrader_cells(source))
    seconds = timed([venv / "nbgrader", "autograde", "hour1"], folder)
    run([venv / "nbgrader", "export"], folder)
    with (folder / "grades.csv").open(newline="", encoding="utf-8") as file:
        return seconds, {row["student_id"]: round(float(row["score"])) for row in csv.DictReader(file)}


def nbgrader_cells(source: str) -> list[Any]:
    """A cell for the answer, and a test cell a check, each worth a point."""
    cells = [new_code_cell(source, metadata={"nbgrader": _cell("answer", solution=True)})]
    cells.append(new_code_cell(BESIDE, metadata={"nbgrader": _cell("beside")}))
    for name, body in CHECKS.items():
        told = {**_cell(name), "grade": True, "points": 1}
        cells.append(new_code_cell(dedent(body).strip(), metadata={"nbgrader": told}))
    return cells


def _cell(name: str, *, solution: bool = False) -> dict[str, Any]:
    settings = {"grade": False, "locked": not solution, "solution": solution, "task": False, "schema_version": 3}
    return {"grade_id": name, **settings}


# ── running them ────────────────────────────────────────────────────────────────────────────────────────────────


def write_notebook(path: Path, cells: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)


def environment(name: str, venvs: Path) -> Path:
    """The folder of an environment's programs; it is made, and its packages are installed, if it is not there."""
    place = venvs / name
    ready = place / f".{'-'.join(PACKAGES[name])}"
    if not ready.exists():
        venv.create(place, with_pip=True)
        run([place / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES[name]], venvs)
        ready.touch()
    return place / "bin"


def timed(command: list[Any], folder: Path) -> float:
    began = monotonic()
    run(command, folder)
    return monotonic() - began


def run(command: list[Any], folder: Path) -> None:
    """Run a command, in whose environment its own programs come first; what it says is shown if it fails."""
    program = Path(command[0])
    paths = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT) if str(program) == sys.executable else ""},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, nargs="?", default=40)
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "deepdive-graders")
    told = parser.parse_args()
    told.venvs.mkdir(parents=True, exist_ok=True)
    main(told.size, told.venvs.resolve())
