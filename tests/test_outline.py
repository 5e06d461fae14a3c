"""Files of checks are imported only when a check of theirs may run; nobody can tell from what is collected."""

from pathlib import Path

import pytest

from deepdive.course import Course
from tests.conftest import SOLUTION, Answers, Run


@pytest.fixture
def imports(small_course: Course) -> Path:
    """Where the file of checks leaves a line each time it is imported."""
    path = small_course.root / "imports.txt"
    path.touch()
    checks = small_course.root / "checks" / "test_hour1_small.py"
    checks.write_text(
        f"{checks.read_text()}\n\nwith open({str(path)!r}, 'a') as file:\n    file.write('imported\\n')\n"
    )
    return path


def test_stubs_need_no_import(run: Run, imports: Path) -> None:
    run("deepdive", "build")
    assert "5 todo" in run("pytest").stdout
    assert imports.read_text() == ""


def test_what_is_known_needs_no_import(run: Run, answers: Answers, imports: Path) -> None:
    answers(SOLUTION)
    run("pytest")
    assert imports.read_text() == "imported\n"
    assert "5 passed" in run("pytest").stdout
    assert imports.read_text() == "imported\n"


@pytest.mark.parametrize("options", [("--fresh",), ("-v",), ("--deepdive-seed", "3")])
def test_what_has_to_run_is_imported(run: Run, answers: Answers, imports: Path, options: tuple[str, ...]) -> None:
    answers(SOLUTION.replace("return 2 * x", "return 3 * x"))
    run("pytest")
    run("pytest", *options)
    assert imports.read_text() == "imported\n" * 2


def test_an_edit_has_it_imported_again(run: Run, answers: Answers, imports: Path) -> None:
    answers(SOLUTION)
    run("pytest")
    answers(SOLUTION.replace("return 2 * x", "return x + x"))
    assert "5 passed" in run("pytest").stdout
    assert imports.read_text() == "imported\n" * 2


@pytest.mark.parametrize(
    "options",
    [(), ("-k", "double"), ("-m", "hour1"), ("-m", "stretch"), ("checks/test_hour1_small.py::test_quadruples",)],
)
def test_an_outline_collects_what_the_file_itself_does(run: Run, answers: Answers, options: tuple[str, ...]) -> None:
    def collected() -> list[str]:
        lines = run("pytest", "--collect-only", "-q", *options).stdout.splitlines()
        return [line for line in lines if "::" in line]

    run("deepdive", "build")
    outlined = collected()
    answers(SOLUTION)
    assert outlined == collected() != []
