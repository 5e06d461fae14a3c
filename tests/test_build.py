"""Stubs are written from solutions, and a learner's work is never lost."""

import ast

import pytest

from deepdive.answer_files import AnswerFiles
from deepdive.build import Written, build, stub_of
from deepdive.course import Course, CourseError, load_course
from tests.conftest import ROOT

PATH = "exercises/hour1_small.py"


def test_the_stubs_in_the_repository_are_what_build_writes() -> None:
    """Word for word; of a file that somebody has worked on, all but the bodies of its functions."""
    course = load_course(ROOT)
    files = AnswerFiles(course, ROOT / "exercises")
    for hour in course.hours:
        stub = stub_of((ROOT / "solutions" / hour.file_name).read_text(encoding="utf-8"))
        present = (ROOT / "exercises" / hour.file_name).read_text(encoding="utf-8")
        drifted = f"exercises/{hour.file_name} has drifted: run `deepdive build --force`"
        if all(files.is_stub(exercise) for exercise in hour.exercises):
            assert present == stub, drifted
        else:
            assert declarations(stub).items() <= declarations(present).items(), drifted


def declarations(source: str) -> dict[str, tuple[str, str | None]]:
    """The signature and the docstring of every function."""
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {f.name: (ast.unparse(f.args), ast.get_docstring(f)) for f in functions}


def test_a_stub_keeps_signature_and_docstring_and_loses_the_answer(small_course: Course) -> None:
    source = (small_course.root / "solutions" / "hour1_small.py").read_text()
    stub = stub_of(source)
    assert "2 * x" not in stub
    assert "SOLUTION" not in stub
    solved, bare = ast.parse(source), ast.parse(stub)
    for right, empty in zip(solved.body, bare.body, strict=True):
        if isinstance(right, ast.FunctionDef):
            assert isinstance(empty, ast.FunctionDef)
            assert ast.unparse(right.args) == ast.unparse(empty.args)
            assert ast.get_docstring(right) == ast.get_docstring(empty)
            assert ast.unparse(empty.body[-1]) == "raise NotImplementedError"


def test_build_leaves_work_alone_unless_told_and_then_keeps_a_copy(small_course: Course) -> None:
    folder = small_course.root / "exercises"
    assert [b.written for b in build(small_course, folder)] == [Written.NEW]
    assert [b.written for b in build(small_course, folder)] == [Written.SAME]
    path = small_course.root / PATH
    path.write_text("my work\n")
    assert [b.written for b in build(small_course, folder)] == [Written.KEPT]
    assert path.read_text() == "my work\n"
    for number in (1, 2):
        path.write_text(f"my work {number}\n")
        (built,) = build(small_course, folder, force=True)
        assert built.written is Written.REPLACED
        assert built.backup is not None
        assert built.backup.name == f"hour1_small.backup-{number}.py"
        assert built.backup.read_text() == f"my work {number}\n"
        assert "NotImplementedError" in path.read_text()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n", "line 2: the solution region of line 1 is still open"),
        ("x = 1\n### END SOLUTION\n", "line 2: no solution region is open"),
        ("### BEGIN SOLUTION\n", "the solution region of line 1 is never closed"),
    ],
)
def test_a_broken_region_is_told_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(CourseError, match=complaint):
        stub_of(text)
