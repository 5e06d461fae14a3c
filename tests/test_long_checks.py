"""Checks that take minutes: last of all, only when the quick ones pass, once, and never repeated for a diagnosis."""

import pytest

from deepdive.course import Course, load_course
from deepdive.grading.intake import Submission
from deepdive.grading.jobs import Keys, digest
from deepdive.grading.run import grade
from deepdive.grading.session import open_jail
from deepdive.jail.zygote import choose_tier
from deepdive.proof import checks_of
from deepdive.verdict import State, Verdict, read_record
from tests.conftest import SOLUTION, Answers, Run

LONG = """

@exercise("double", seconds=900)
def test_trains_for_minutes(answer):
    expect(answer(np.array([21]))).equals(np.array([42]))
"""


@pytest.fixture
def course(small_course: Course) -> Course:
    """The small course, with a check of `double` that may take minutes, and stands before those of others."""
    path = small_course.root / "checks" / "test_hour1_small.py"
    before, halves, after = path.read_text().partition('\n\n@exercise("halves", points')
    path.write_text(before + LONG + halves + after)
    return load_course(small_course.root)


def verdicts_of(run: Run, course: Course, *options: str) -> list[Verdict]:
    run("pytest", "--deepdive-json", "out.json", *options)
    return list(read_record(course.root / "out.json").verdicts)


def long_one(verdicts: list[Verdict]) -> Verdict:
    return next(v for v in verdicts if v.check == "test_trains_for_minutes")


def test_it_runs_when_the_quick_ones_pass_and_after_all_others(run: Run, answers: Answers, course: Course) -> None:
    answers(SOLUTION)
    printed = run("pytest", "-v").stdout
    assert "double trains for minutes: this takes minutes, once; the verdict is kept." in printed
    order = [line.partition("::")[2].split()[0] for line in printed.splitlines() if "::" in line]
    assert order[-1] == "test_trains_for_minutes"
    assert len(order) == 6


def test_it_waits_while_a_quick_one_fails(run: Run, answers: Answers, course: Course) -> None:
    answers(SOLUTION.replace("return 2 * x", "return 2.0 * x"))
    verdict = long_one(verdicts_of(run, course))
    assert verdict.state is State.NOT_APPLICABLE
    assert verdict.likely == "It takes minutes, and runs when the other checks of double pass."


def test_another_exercises_failure_does_not_hold_it_up(run: Run, answers: Answers, course: Course) -> None:
    answers(SOLUTION.replace("x[len(x) // 2 :]", "x"))
    assert long_one(verdicts_of(run, course)).state is State.PASSED


def test_its_verdict_is_kept(run: Run, answers: Answers, course: Course) -> None:
    answers(SOLUTION)
    run("pytest")
    assert "this takes minutes" not in run("pytest").stdout
    assert "this takes minutes" in run("pytest", "--fresh").stdout


def test_it_is_not_repeated_to_name_a_mistake(run: Run, answers: Answers, course: Course) -> None:
    answers(SOLUTION.replace("return 2 * x", "return x**2"))
    by_check = {v.check: v for v in verdicts_of(run, course, "-k", "trains_for_minutes")}
    (verdict,) = by_check.values()
    assert (verdict.state, verdict.mistake) == (State.FAILED, None)


@pytest.mark.skipif(not choose_tier().tier, reason="; ".join(choose_tier().reasons))
@pytest.mark.parametrize(
    ("right", "state"), [(True, State.PASSED), (False, State.NOT_APPLICABLE)], ids=["right", "wrong"]
)
def test_a_graded_run_waits_for_the_quick_ones_too(course: Course, right: bool, state: State) -> None:
    source = SOLUTION if right else SOLUTION.replace("return 2 * x", "return 2.0 * x")
    with open_jail({1}, unsafe=False) as jail:
        verdicts = grade(course, Submission("somebody", {"hour1_small.py": source.encode()}), jail, seed=0)
    assert long_one(verdicts).state is state


def test_in_a_gradebook_it_is_judged_anew_when_a_quick_one_has_changed(course: Course) -> None:
    """Whom that one found wrong and now finds right has not been tried by it."""

    def keys() -> dict[str, str]:
        return {check.check: check.key for check in Keys(load_course(course.root), 0).of(1, digest(b"x = 1"))}

    path, before = course.root / "checks" / "test_hour1_small.py", keys()
    path.write_text(path.read_text().replace("np.array([1, 2, 5])", "np.array([1, 2, 6])"))
    changed = {name for name, key in keys().items() if key != before[name]}
    assert changed == {"test_doubles_whole_numbers", "test_trains_for_minutes"}


def test_proofs_leave_it_out_unless_asked(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    double = course.exercise("double")
    quick = {check.__name__ for check, _ in checks_of(course, double)}
    every = {check.__name__: seconds for check, seconds in checks_of(course, double, long=True)}
    assert every.keys() - quick == {"test_trains_for_minutes"}
    assert every["test_trains_for_minutes"] == 900
