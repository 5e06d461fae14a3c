"""The proof that the checks judge rightly, made from the course's own files.

For every exercise: the stub is to do; the solution passes; every known mistake fails, and is named by its own
sentence and by no other; every alternative right answer passes. No checker ships before it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from deepdive import diagnose
from deepdive import judge as judging
from deepdive.answers import DEFAULT_SECONDS, Answer
from deepdive.course import Check, Course, Exercise
from deepdive.diagnose import course_module, known_mistakes, right_answer
from deepdive.scratch import scratch, temporary_files_in
from deepdive.verdict import HELD_AGAINST_NOBODY, WRONG, Verdict

CheckFunction = Callable[..., None]


class Kind(StrEnum):
    """What an answer is known to be before it is judged."""

    SOLUTION = "solution"
    ALTERNATIVE = "alternative"
    MISTAKE = "mistake"


@dataclass(frozen=True)
class Known:
    """An answer of which it is known whether it is right."""

    exercise: Exercise
    kind: Kind
    name: str
    function: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.exercise.name}, {self.kind} {self.name}"


@dataclass(frozen=True)
class Trial:
    """What the checks made of a known answer."""

    known: Known
    verdicts: tuple[Verdict, ...]

    @property
    def accepted(self) -> bool:
        """No check holds anything against it."""
        return all(verdict.state in HELD_AGAINST_NOBODY for verdict in self.verdicts)

    @property
    def caught(self) -> bool:
        """Some check found it wrong, and none of them broke on it."""
        states = {verdict.state for verdict in self.verdicts}
        return bool(states & WRONG) and states <= WRONG | HELD_AGAINST_NOBODY

    @property
    def named(self) -> bool:
        """Some failing check named it."""
        return any(verdict.mistake == self.known.name for verdict in self.verdicts)

    @property
    def misnamed(self) -> bool:
        """Some failing check named another mistake."""
        return any(verdict.mistake not in (None, self.known.name) for verdict in self.verdicts)

    @property
    def problem(self) -> str:
        """What is wrong with the checks or with this answer, in words; empty when all is as it should be."""
        if self.known.kind is not Kind.MISTAKE:
            refusing = [v.check for v in self.verdicts if v.state not in HELD_AGAINST_NOBODY]
            return f"refused by {', '.join(refusing)}" if refusing else ""
        if not self.caught:
            return "not caught"
        if self.misnamed:
            return "given the name of another mistake"
        return "" if self.named else "caught, but not named"


def _file(course: Course, exercise: Exercise) -> str:
    return course.hour(exercise.hour).file_name.removesuffix(".py")


def known_answers(course: Course, exercise: Exercise) -> Iterator[Known]:
    """The solution, the alternatives and the mistakes of one exercise."""
    yield Known(exercise, Kind.SOLUTION, exercise.name, right_answer(course, exercise))
    for function in alternatives(course, exercise):
        yield Known(exercise, Kind.ALTERNATIVE, function.__name__, function)
    for mistake in known_mistakes(course, exercise):
        yield Known(exercise, Kind.MISTAKE, mistake.name, mistake.function)


def alternatives(course: Course, exercise: Exercise) -> list[Callable[..., Any]]:
    """Other right answers: the functions of `tests/alternatives/` that say `@alternative(of=…)`."""
    name = _file(course, exercise)
    if not (course.root / "tests" / "alternatives" / f"{name}.py").exists():
        return []
    module = course_module(course, f"tests.alternatives.{name}")
    return [f for f in vars(module).values() if getattr(f, "__alternative_of__", None) == exercise.name]


def checks_of(course: Course, exercise: Exercise, *, long: bool = False) -> list[tuple[CheckFunction, float]]:
    """The check functions of one exercise, each with its time limit in seconds; those that take minutes if asked."""
    chosen = [check for check in exercise.checks if long or not check.long]
    return [(check_function(course, exercise, each), float(each.seconds or DEFAULT_SECONDS)) for each in chosen]


def check_function(course: Course, exercise: Exercise, check: Check) -> CheckFunction:
    """The function of one check."""
    function: CheckFunction = getattr(course_module(course, f"checks.test_{_file(course, exercise)}"), check.name)
    return function


@contextmanager
def patience() -> Iterator[None]:
    """Let answers and diagnosis take longer in the block than a learner would wait.

    What they are given then is enough on a machine with other work, too: the proof is about what the checks find.
    """
    global DEFAULT_SECONDS
    before = DEFAULT_SECONDS, diagnose.MAX_SECONDS, diagnose.MOST_SECONDS, judging.EXPECTED_SECONDS
    DEFAULT_SECONDS, diagnose.MAX_SECONDS, diagnose.MOST_SECONDS, judging.EXPECTED_SECONDS = 30.0, 12.0, 60.0, 10.0
    try:
        yield
    finally:
        DEFAULT_SECONDS, diagnose.MAX_SECONDS, diagnose.MOST_SECONDS, judging.EXPECTED_SECONDS = before


def try_answer(
    course: Course,
    known: Known,
    *,
    seed: int = 0,
    only: Collection[str] | None = None,
    stop_at_first: bool = False,
    long: bool = False,
) -> Trial:
    """Judge a known answer by the checks of its exercise.

    Args:
        course: the course.
        known: the answer.
        seed: of the random inputs.
        only: the checks to run, by their names; all of them when None.
        stop_at_first: be content with the first check that finds it wrong.
        long: try those that take minutes, too.
    """
    verdicts: list[Verdict] = []
    path = Path(known.function.__code__.co_filename)
    with scratch() as folder, temporary_files_in(folder):
        for check, seconds in checks_of(course, known.exercise, long=long):
            if only is not None and check.__name__ not in only:
                continue
            answer = Answer(known.exercise, known.function, seconds)
            verdicts.append(judging.judge(course, known.exercise, check, answer, seed=seed, path=path))
            if stop_at_first and verdicts[-1].state in WRONG:
                break
    return Trial(known, tuple(verdicts))


def prove(course: Course, exercise: Exercise, *, seed: int = 0) -> list[Trial]:
    """Try every known answer to one exercise."""
    return [try_answer(course, known, seed=seed) for known in known_answers(course, exercise)]


def table(trials: Sequence[Trial]) -> str:
    """The proof in figures, as a Markdown table: a row for each exercise, and their sum."""
    by_exercise: dict[str, list[Trial]] = {}
    for trial in trials:
        by_exercise.setdefault(trial.known.exercise.name, []).append(trial)
    rows = [
        ["exercise", "checks", "right accepted", "mistakes caught", "named", "misnamed"],
        ["---", "--:", "--:", "--:", "--:", "--:"],
        *([name, *_figures(group)] for name, group in by_exercise.items()),
        [f"all {len(by_exercise)}", *_figures(trials)],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _figures(trials: Sequence[Trial]) -> list[str]:
    right = [trial for trial in trials if trial.known.kind is not Kind.MISTAKE]
    wrong = [trial for trial in trials if trial.known.kind is Kind.MISTAKE]
    checks = {(v.exercise, v.check) for trial in trials for v in trial.verdicts}
    return [
        str(len(checks)),
        f"{sum(trial.accepted for trial in right)} of {len(right)}",
        f"{sum(trial.caught for trial in wrong)} of {len(wrong)}",
        f"{sum(trial.named for trial in wrong)} of {len(wrong)}",
        str(sum(trial.misnamed for trial in wrong)),
    ]
