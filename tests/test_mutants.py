"""Mutants of the solutions: they are what their operator says, and the checks find every one of them wrong."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deepdive.course import Course, Exercise, Hour, load_course
from deepdive.mutants import (
    OPERATORS,
    ControlError,
    Equivalent,
    Fate,
    Mutant,
    MutantResult,
    Survey,
    equivalents_of,
    mutants_of,
    mutate,
    run_mutants,
    survey_of,
    unchanged,
)
from tests.conftest import ROOT, Run

COURSE = load_course(ROOT)


# ── Every mutant of every hour ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("hour", COURSE.hours, ids=lambda hour: f"hour{hour.number}")
def test_every_mutant_is_killed_or_known_to_be_equivalent(hour: Hour) -> None:
    survey = survey_of(COURSE, hour.exercises)
    assert len(survey.results) >= 20 * len(hour.exercises)  # the generator has not gone dry
    assert not survey.problems, "\n" + "\n".join(survey.problems)


@pytest.mark.parametrize("hour", COURSE.hours, ids=lambda hour: f"hour{hour.number}")
def test_every_equivalent_mutant_exists_once_and_has_a_reason(hour: Hour) -> None:
    made = {(mutant.exercise, mutant.diff) for exercise in hour.exercises for mutant in mutants_of(COURSE, exercise)}
    known = equivalents_of(COURSE, hour.number)
    listed = [(entry.exercise, entry.diff) for entry in known]
    assert len(set(listed)) == len(listed)
    assert not set(listed) - made
    assert all(entry.reason.endswith(".") for entry in known)


@pytest.mark.parametrize("exercise", list(COURSE.exercises), ids=lambda exercise: exercise.name)
def test_mutants_are_told_apart_always_the_same_and_valid_python(exercise: Exercise) -> None:
    mutants = mutants_of(COURSE, exercise)
    assert len({mutant.diff for mutant in mutants}) == len(mutants) == len({mutant.source for mutant in mutants})
    assert unchanged(COURSE, exercise).source not in {mutant.source for mutant in mutants}
    assert mutants == mutants_of(COURSE, exercise)
    for mutant in mutants:
        compile(mutant.source, mutant.diff, "exec")


# ── The operators ───────────────────────────────────────────────────────────────────────────────────────────────


def mutants_of_body(body: str) -> list[Mutant]:
    region = textwrap.indent(f"### BEGIN SOLUTION\n{body}\n### END SOLUTION", "    ")
    return mutate(f'import numpy as np\n\n\ndef f(x, y, n=3):\n    """Doc."""\n{region}\n', "f")


@pytest.mark.parametrize(
    ("operator", "statement", "becomes"),
    [
        ("arithmetic", "x + y", ["x - y"]),
        ("arithmetic", "x * y", ["x / y", "x + y"]),
        ("arithmetic", "x // y", ["x / y", "x * y"]),
        ("arithmetic", "x @ y", ["x * y"]),
        ("arithmetic", "x ** y", ["x * y"]),
        ("arithmetic", "x & ~y", ["x | ~y"]),
        ("arithmetic", "x += y", ["x -= y"]),
        ("operand dropped", "x * y", ["x", "y"]),
        ("operand dropped", "x and y and n", ["y and n", "x and n", "x and y"]),
        ("operands swapped", "x @ y", ["y @ x"]),
        ("operands swapped", "x + y", []),
        ("comparison", "x < y", ["x <= y", "x != y", "x >= y"]),
        ("comparison", "x != y", ["x == y", "x < y", "x > y"]),
        ("comparison", "x is None", ["x is not None"]),
        ("comparison", "x not in y", ["x in y"]),
        ("comparison", "x.size == 0", ["x.size != 0", "x.size >= 0"]),
        (
            "comparison",
            "0 < x < y",
            ["0 <= x < y", "0 != x < y", "0 >= x < y", "0 < x <= y", "0 < x != y", "0 < x >= y"],
        ),
        ("connective", "x or y", ["x and y"]),
        ("sign dropped", "-x", ["x"]),
        ("sign dropped", "not x", ["x"]),
        ("sign dropped", "-1", []),
        ("number", "f(2)", ["f(3)", "f(1)", "f(0)", "f(-2)"]),
        ("number", "f(-1)", ["f(0)", "f(-2)", "f(1)"]),
        ("number", "f(0)", ["f(1)", "f(-1)"]),
        ("number", "f(0.5)", ["f(0.55)", "f(0.0)", "f(-0.5)"]),
        ("number", "f(1e-12)", ["f(1e-11)", "f(1e-13)", "f(0.0)", "f(-1e-12)"]),
        ("number", "f(True)", ["f(False)"]),
        ("number", "x['1']", []),
        ("number", "x.mean(axis=-1)", ["x.mean(axis=0)", "x.mean(axis=-2)", "x.mean(axis=1)"]),
        ("slice shifted", "x[:]", ["x[1:]", "x[:-1]"]),
        ("slice shifted", "x[1:]", ["x[:]", "x[1:-1]"]),
        ("slice shifted", "x[:n]", ["x[1:n]", "x[:n + 1]", "x[:]"]),
        ("argument dropped", "f(x, y, n=3)", ["f(x, y)", "f(x, n=3)"]),
        ("argument dropped", "x.sum(axis=0, keepdims=True)", ["x.sum(keepdims=True)", "x.sum(axis=0)"]),
        ("arguments swapped", "np.where(n, x, y)", ["np.where(x, n, y)", "np.where(n, y, x)"]),
        ("arguments swapped", "x.swapaxes(1, 2)", []),
        ("arguments swapped", "f(*x, y)", []),
        ("call unwrapped", "np.exp(x)", ["x"]),
        ("call unwrapped", "f(x)", ["x"]),
        ("call unwrapped", "x.swapaxes(1, 2)", ["x"]),
        ("call unwrapped", "x @ y.T", ["x @ y"]),
        ("call unwrapped", "np.asarray(x)", []),
        ("name swapped", "x.max()", ["x.min()"]),
        ("name swapped", "np.tril(x)", ["np.triu(x)"]),
        ("name swapped", "all(x)", ["any(x)"]),
        ("name swapped", "x.astype(np.int64)", ["x.astype(np.int32)"]),
        ("element dropped", "x in 'ab'", ["x in 'b'", "x in 'a'"]),
        ("element dropped", "[i for i in (x, y)]", ["[i for i in (y,)]", "[i for i in (x,)]"]),
        ("statement deleted", "x = y", ["pass"]),
        ("return swapped", "return x, y", ["return (y, x)"]),
        ("branch forced", "x if n else y", ["x", "y"]),
        ("branch forced", "[i for i in x if i]", ["[i for i in x]"]),
        ("condition negated", "x if n else y", ["x if not n else y"]),
        ("condition negated", "x if n > 1 else y", []),
    ],
)
def test_an_operator_makes_what_it_says(operator: str, statement: str, becomes: list[str]) -> None:
    mutants = [mutant for mutant in mutants_of_body(statement) if mutant.operator == operator]
    assert [mutant.diff.split(" → ")[1] for mutant in mutants] == becomes
    assert {mutant.line for mutant in mutants} <= {7}


def test_what_refuses_bad_input_is_mutated_but_not_what_it_says() -> None:
    mutants = mutants_of_body('if x.ndim < 1 or n:\n    raise ValueError(f"{n + 1} of {x[1:]}")')
    stays = "raise ValueError(f'{n + 1} of {x[1:]}')"
    assert {mutant.diff for mutant in mutants if stays not in mutant.source} == {
        "if x.ndim < 1 or n: raise ValueError(…) → if x.ndim < 1 or n: pass",
        "if x.ndim < 1 or n: raise ValueError(…) → if x.ndim < 1 or n: raise TypeError(…)",
    }
    diffs = {mutant.diff for mutant in mutants}
    assert "if x.ndim < 1 or n: raise ValueError(…) → if True: raise ValueError(…)" in diffs
    assert "if x.ndim < 1 or n: raise ValueError(…) → if not (x.ndim < 1 or n): raise ValueError(…)" in diffs
    assert "x.ndim < 1 or n → x.ndim < 1" in diffs


def test_only_the_solution_region_is_mutated() -> None:
    text = '''
def f(x, axis=-1, eps=1e-5):
    """Add 1."""
    y = x + 1
    ### BEGIN SOLUTION
    "a remark"
    return x * y
    ### END SOLUTION
'''
    mutants = mutate(text, "f")
    assert {mutant.diff for mutant in mutants} == {
        f"return x * y → {after}" for after in ("pass", "return x / y", "return x + y", "return x", "return y")
    }
    assert all("def f(x, axis=-1, eps=1e-05):\n    y = x + 1" in mutant.source for mutant in mutants)


def test_every_operator_makes_something_of_the_course() -> None:
    made = {mutant.operator for exercise in COURSE.exercises for mutant in mutants_of(COURSE, exercise)}
    assert made <= set(OPERATORS)
    assert {"arithmetic", "comparison", "number", "statement deleted", "error changed", "branch forced"} <= made


def test_two_changes_that_read_alike_are_numbered() -> None:
    mutants = mutants_of_body("x = x + y\nx = x + y")
    assert [m.diff for m in mutants if m.operator == "arithmetic"] == [
        "x = x + y → x = x - y  (1)",
        "x = x + y → x = x - y  (2)",
    ]


# ── The runner, on the small course ─────────────────────────────────────────────────────────────────────────────

Rewrite = Callable[[str, str, str], Course]


@pytest.fixture
def rewrite(small_course: Course) -> Rewrite:
    """The small course with one text of one of its files replaced."""

    def call(file: str, old: str, new: str) -> Course:
        path = small_course.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return load_course(small_course.root)

    return call


def fates(results: list[MutantResult]) -> dict[str, Fate]:
    return {result.mutant.diff: result.fate for result in results}


def test_a_mutant_takes_the_place_of_the_solution_in_a_copy_of_its_module(small_course: Course) -> None:
    triples = next(m for m in mutants_of(small_course, small_course.exercise("double")) if "3 * x" in m.diff)
    function = triples.function(small_course)
    assert function(np.array([5])) == 15
    assert function.__globals__["double"] is function
    assert function.__globals__["quadruple"](5) == 45  # its neighbours call the mutant
    again = triples.function(small_course)
    assert again.__globals__ is not function.__globals__


def test_every_mutant_is_killed_by_good_checks(small_course: Course) -> None:
    results = run_mutants(small_course, [small_course.exercise("double")], workers=1)
    assert len(results) >= 8
    assert all(result.killed for result in results)
    tripled = next(result for result in results if "3 * x" in result.mutant.diff)
    assert (tripled.fate, tripled.check) == (Fate.KILLED, "test_doubles_every_value")
    assert "values differ" in tripled.told


def test_a_mutant_survives_where_a_check_is_weak(small_course: Course, rewrite: Rewrite) -> None:
    unchecked = "if len(x) % 2: raise ValueError(…) → if len(x) % 2: pass"
    assert fates(run_mutants(small_course, workers=1))[unchecked] is Fate.KILLED
    weak = rewrite("checks/test_hour1_small.py", "answer(np.arange(5.0))", 'raise ValueError("5")')
    assert fates(run_mutants(weak, workers=1))[unchecked] is Fate.SURVIVED


UNRULY = '''"""Hour 1 · Unruly things"""

import ctypes
import itertools


def room(n: int) -> int:
    """So many bytes are free."""
    ### BEGIN SOLUTION
    return len(bytearray(n // 2**30))
    ### END SOLUTION


def countdown(n: int) -> int:
    """Down to zero."""
    ### BEGIN SOLUTION
    while n > 0:
        n -= 1
    return n
    ### END SOLUTION


def fragile(n: int) -> int:
    """The same number."""
    ### BEGIN SOLUTION
    if n > 5:
        ctypes.string_at(0)
    return n
    ### END SOLUTION


def deaf(n: int) -> list:
    """Nothing, n times, left out."""
    ### BEGIN SOLUTION
    return list(filter(None, itertools.repeat(None, n)))
    ### END SOLUTION


def puzzling(n: int) -> list:
    """The number in a list."""
    ### BEGIN SOLUTION
    return [n + 1]
    ### END SOLUTION
'''

UNRULY_CHECKS = """from deepdive.expect import expect
from deepdive.pytest_plugin import exercise


@exercise("room", points=1, minutes=1)
def test_room(answer):
    expect(answer(6)).equals(0)


@exercise("countdown", points=1, minutes=1, seconds=0.5)
def test_countdown(answer):
    expect(answer(3)).equals(0)


@exercise("fragile", points=1, minutes=1)
def test_fragile(answer):
    expect(answer(3)).equals(3)


@exercise("deaf", points=1, minutes=1, seconds=0.5)
def test_deaf(answer):
    expect(answer(3)).equals([])


@exercise("puzzling", points=1, minutes=1)
def test_puzzling(answer):
    {1: None}[answer(0)[0]]
"""


@pytest.fixture
def unruly(tmp_path: Path) -> Course:
    """A course whose mutants loop, crash, eat the memory and break the check."""
    for folder, name, text in (("solutions", "hour1_", UNRULY), ("checks", "test_hour1_", UNRULY_CHECKS)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}unruly.py").write_text(text, encoding="utf-8")
    return load_course(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory is limited on Linux only")
def test_mutants_that_misbehave_cost_nobody_else_their_verdict(unruly: Course) -> None:
    results = run_mutants(unruly, workers=2, patience=8)
    by_diff = {(result.mutant.exercise, result.mutant.diff): result for result in results}
    greedy = by_diff["room", "return len(bytearray(n // 2 ** 30)) → return len(bytearray(n * 2 ** 30))"]
    assert (greedy.fate, "MemoryError" in greedy.told) == (Fate.KILLED, True)
    endless = by_diff["countdown", "n -= 1 → n += 1"]
    assert (endless.fate, endless.check, endless.killed) == (Fate.TIMED_OUT, "test_countdown", True)
    crashed = by_diff["fragile", "if n > 5: ctypes.string_at(0) → if True: ctypes.string_at(0)"]
    assert (crashed.fate, crashed.killed) == (Fate.CRASHED, True)
    deaf = by_diff[
        "deaf",
        "return list(filter(None, itertools.repeat(None, n))) → return list(filter(None, itertools.repeat(None)))",
    ]
    assert (deaf.fate, deaf.check) == (Fate.TIMED_OUT, "")  # it never came back to the interpreter
    broken = by_diff["puzzling", "return [n + 1] → return [n - 1]"]
    assert (broken.fate, broken.killed) == (Fate.KIT_ERROR, False)
    assert "KeyError" in broken.told
    assert by_diff["puzzling", "return [n + 1] → pass"].fate is Fate.KILLED


def test_a_solution_that_fails_its_own_checks_stops_the_run(rewrite: Rewrite) -> None:
    wrong = rewrite("solutions/hour1_small.py", "return 2 * x", "return 3 * x")
    with pytest.raises(ControlError, match=r"double.*test_doubles_every_value"):
        run_mutants(wrong, workers=1)


# ── Equivalent mutants ──────────────────────────────────────────────────────────────────────────────────────────


def test_survivors_are_holes_unless_listed_and_listed_ones_that_do_not_survive_are_stale() -> None:
    def result(diff: str, fate: Fate) -> MutantResult:
        return MutantResult(Mutant("double", 1, "number", diff, ""), fate)

    results = (result("a → b", Fate.SURVIVED), result("a → c", Fate.SURVIVED), result("a → d", Fate.KILLED))
    broken = result("a → e", Fate.KIT_ERROR)
    listed = [Equivalent("double", f"a → {letter}", "Why.") for letter in "bdexz"]
    survey = Survey((*results, broken), (*listed, Equivalent("halves", "a → b", "Not tried.")))
    assert [hole.mutant.diff for hole in survey.holes] == ["a → c"]
    assert [stale.diff for stale in survey.stale] == ["a → d", "a → e", "a → x", "a → z"]
    assert survey.kit_errors == [broken]
    assert survey.problems[0] == "no check finds this wrong: double:1  [number]  a → c"
    assert len(survey.problems) == 1 + 1 + 4
    assert survey.summary == "4 mutants: 1 killed, 1 equivalent, 1 holes"


def test_equivalent_mutants_are_read_from_the_file_of_their_hour(small_course: Course) -> None:
    assert equivalents_of(small_course, 1) == ()
    folder = small_course.root / "tests" / "equivalent_mutants"
    folder.mkdir(parents=True)
    entry = '[[mutant]]\nexercise = "double"\ndiff = "2 * x → x * 2"\nreason = "The same."\n'
    (folder / "hour1_small.toml").write_text(entry, encoding="utf-8")
    assert equivalents_of(small_course, 1) == (Equivalent("double", "2 * x → x * 2", "The same."),)


# ── By the command ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_proof_command_tells_the_holes(rewrite: Rewrite, run: Run) -> None:
    rewrite("checks/test_hour1_small.py", "answer(np.arange(5.0))", 'raise ValueError("5")')
    result = run("deepdive", "proof", "--mutants")
    assert result.returncode == 1
    assert " mutants: " in result.stdout
    hole = "no check finds this wrong: halves:24  [statement deleted]  "
    assert f"{hole}if len(x) % 2: raise ValueError(…) → if len(x) % 2: pass\n" in result.stderr
