"""Notebooks and modules: the same hour in two forms, and the way between them.

A module's docstring, its exercises and what stands between them become cells, line for line; after each exercise
comes a cell that checks it. Going back joins the cells again, so that answers can be carried both ways.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from deepdive.build import stub_of
from deepdive.course import BEGIN, END, Course, Hour
from deepdive.grading.notebooks import without_magics
from deepdive.source import lines_of

_v4: Any = nbformat.v4  # which has no annotations
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class CannotConvert(ValueError):
    """The module or the notebook cannot be taken apart; the message says why."""


def notebook_of(course: Course, hour: Hour, source: str) -> nbformat.NotebookNode:
    """The notebook of one hour's module: a stub, a learner's file or the solution.

    Raises:
        CannotConvert: the module has a syntax error.
    """
    names = {exercise.name: exercise for exercise in hour.exercises}
    plan, pieces = _taken_apart(source, set(names))
    cells = [
        _cell(_v4.new_markdown_cell(plan), "plan"),
        _cell(_v4.new_code_cell("%load_ext deepdive"), "load", {"tool": True}),
    ]
    between = 0
    for name, text in pieces:
        if name is None:
            between += 1
            cells.append(_cell(_v4.new_code_cell(text), f"code-{between}"))
            continue
        exercise = names[name]
        stretch = " · stretch" if exercise.stretch else ""
        title = f"### {name}\n\n{exercise.summary} About {exercise.minutes} min, {exercise.worth}{stretch}."
        cells += [
            _cell(_v4.new_markdown_cell(title), f"about-{name}", {"tool": True}),
            _cell(_v4.new_code_cell(text), name, {"exercise": name}),
            _cell(_v4.new_code_cell(f"%check {name}"), f"check-{name}", {"tool": True}),
        ]
    metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}, "deepdive": {"file": hour.file_name}}
    notebook: nbformat.NotebookNode = _v4.new_notebook(cells=cells, metadata=metadata)
    return notebook


def module_of(notebook: Any) -> str:
    """The module of a notebook: its code without magics, and its first text as docstring.

    Raises:
        CannotConvert: it has no cells.
    """
    cells = notebook.get("cells")
    if not cells:
        raise CannotConvert("the notebook has no cells")
    parts = []
    for index, cell in enumerate(cells):
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        text, tool = source.strip("\n"), cell.get("metadata", {}).get("deepdive", {}).get("tool")
        if index == 0 and cell["cell_type"] == "markdown":
            quoted = text.replace("\\", "\\\\").replace('"""', '\\"""')
            parts.append(f'"""{quoted}\n"""')
        elif cell["cell_type"] == "code" and not tool and (code := without_magics(text).strip("\n")):
            parts.append(code)
    return "\n\n\n".join(parts) + "\n"


def build_notebooks(course: Course, folder: Path) -> list[Path]:
    """Write the notebook of every hour that is not there yet; gives those that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for hour in course.hours:
        path = folder / hour.file_name.replace(".py", ".ipynb")
        if not path.exists():
            write(path, notebook_of(course, hour, stub_of(_solution(course, hour))))
            written.append(path)
    return written


def solved(course: Course, hour: Hour) -> nbformat.NotebookNode:
    """The notebook of the solution."""
    lines = [line for line in _solution(course, hour).splitlines() if line.strip() not in (BEGIN, END)]
    return notebook_of(course, hour, "\n".join(lines) + "\n")


def write(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write a notebook, the same bytes for the same cells."""
    path.write_text(_v4.writes_json(notebook, indent=1) + "\n", encoding="utf-8")


def _solution(course: Course, hour: Hour) -> str:
    return (course.root / "solutions" / hour.file_name).read_text(encoding="utf-8")


def _taken_apart(source: str, names: set[str]) -> tuple[str, list[tuple[str | None, str]]]:
    """A module's docstring, and its lines: each exercise by its name, what stands between them by None."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise CannotConvert(f"it cannot be parsed: {error}") from error
    lines, body = source.splitlines(), tree.body
    docstring = ast.get_docstring(tree) or ""
    at = body[0].end_lineno or 0 if docstring else 0
    pieces: list[tuple[str | None, str]] = []
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            here = lines_of(node)
            pieces += [*_between(lines[at : here.start]), (node.name, "\n".join(lines[here]))]
            at = here.stop
    return docstring, [*pieces, *_between(lines[at:])]


def _between(lines: list[str]) -> Iterator[tuple[str | None, str]]:
    text = "\n".join(lines).strip("\n")
    if text.strip():
        yield None, text


def _cell(cell: nbformat.NotebookNode, name: str, marks: dict[str, Any] | None = None) -> nbformat.NotebookNode:
    """A cell with an id that does not change from build to build."""
    cell["id"] = name[:64].replace("_", "-")
    if marks:
        cell["metadata"]["deepdive"] = marks
    return cell
