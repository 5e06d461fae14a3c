"""The proof with every known answer handed in: the same checks, the answers in a jail, and the same verdicts.

A submission is one file that has nothing of the course to import from. So what a known answer uses is put into its
file: the solutions, and the functions of `checks/given/`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from time import monotonic

from deepdive.course import Course, Exercise
from deepdive.diagnose import unheard
from deepdive.grading.run import judge_file
from deepdive.jail.zygote import Jail
from deepdive.mutants import (
    ControlError,
    Fate,
    Mutant,
    MutantResult,
    Survey,
    equivalents_of,
    mutants_of,
    survey_of,
    unchanged,
)
from deepdive.proof import Kind, Known, Trial, known_answers, patience, prove, table, try_answer
from deepdive.verdict import WRONG, State, Verdict

_HEAD = """
import sys
import types


def _module(name, source=""):
    package, _, last = name.rpartition(".")
    made = sys.modules[name] = types.ModuleType(name)
    if package:
        setattr(sys.modules.get(package) or _module(package), last, made)
    exec(compile(source, name, "exec"), made.__dict__)
    return made


_module("deepdive.diagnose").mistake = lambda of: lambda function: function
_module("tests.alternatives").alternative = lambda of: lambda function: function
"""
_FUTURE = "from __future__ import annotations\n"  # may stand at the top of a file only


def prove_all(
    course: Course, exercises: Sequence[Exercise], jail: Jail | None, *, seed: int = 0, mutants: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """The whole proof of some exercises, part by part: figures to be shown, and what there is to mend.

    Args:
        course: the course.
        exercises: whose known answers are tried, in this process.
        jail: where they are tried once more; nowhere when None.
        seed: of the checks' random inputs.
        mutants: judge the mutants of the solutions, too, wherever the answers are tried.
    """
    with patience(), unheard():
        here = [trial for exercise in exercises for trial in prove(course, exercise, seed=seed)]
    yield table(here), _problems(here)
    if mutants:
        yield _surveyed(lambda: survey_of(course, exercises, seed=seed))
    if jail is None:
        return
    with patience(), unheard():
        jailed = [trial for exercise in exercises for trial in prove_jailed(course, exercise, jail, seed=seed)]
        otherwise = differences(course, here, jailed, seed=seed)
    there = [f"jailed: {problem}" for problem in _problems(jailed)]
    yield f"\njailed\n\n{table(jailed)}", there + otherwise
    if mutants:
        figures, there = _surveyed(lambda: survey_jailed(course, exercises, jail, seed=seed))
        yield figures, [f"jailed: {problem}" for problem in there]


def _problems(trials: Sequence[Trial]) -> list[str]:
    return [f"{trial.known}: {trial.problem}" for trial in trials if trial.problem]


def _surveyed(survey: Callable[[], Survey]) -> tuple[str, list[str]]:
    try:
        found = survey()
    except ControlError as error:
        return "", [str(error)]
    return found.summary, found.problems


def as_submission(course: Course, known: Known) -> bytes:
    """A known answer as a file that somebody could hand in: all it uses is in it."""
    name = course.hour(known.exercise.hour).file_name
    solution = (course.root / "solutions" / name).read_text(encoding="utf-8")
    if known.kind is Kind.SOLUTION:
        return solution.encode()
    module = inspect.getmodule(known.function)
    assert module is not None
    head = f"{_HEAD}\n_module('solutions.{name.removesuffix('.py')}', {solution!r})\n"
    given = course.root / "checks" / "given" / name
    if given.exists():
        head += f"_module('checks.given.{given.stem}', {given.read_text(encoding='utf-8')!r})\n"
    text = inspect.getsource(module)
    future = _FUTURE if _FUTURE in text else ""
    return f"{future}{head}\n{text.replace(_FUTURE, '')}\n{known.exercise.name} = {known.name}\n".encode()


def try_jailed(course: Course, known: Known, jail: Jail, *, seed: int = 0) -> Trial:
    """Judge a known answer by the checks of its exercise, in a jail; as `deepdive.proof.try_answer` does without."""
    return Trial(known, tuple(_verdicts(course, known.exercise, as_submission(course, known), jail, seed)))


def prove_jailed(course: Course, exercise: Exercise, jail: Jail, *, seed: int = 0) -> list[Trial]:
    """Try every known answer to one exercise in a jail."""
    return [try_jailed(course, known, jail, seed=seed) for known in known_answers(course, exercise)]


def differences(course: Course, here: Sequence[Trial], jailed: Sequence[Trial], *, seed: int = 0) -> list[str]:
    """What checks made of the same answers with a jail and without, where that is not the same, each in a line."""
    found = []
    for mine, theirs in zip(here, jailed, strict=True):
        pairs = zip(mine.verdicts, theirs.verdicts, strict=True)
        differing = [(a, b) for a, b in pairs if not (_undecided(a, b) or _same(a, b))]
        if differing:  # perhaps not by the jail: what draws from a global generator depends on what drew before it
            alone = try_answer(course, mine.known, seed=seed, only={a.check for a, _ in differing})
            again = {verdict.check: verdict for verdict in alone.verdicts}
            differing = [(a, b) for a, b in differing if a.state != b.state or _told(again[a.check]) == _told(a)]
        found += [f"{mine.known}, {a.check}: here {_shown(a)}, jailed {_shown(b)}" for a, b in differing]
    return found


def _same(a: Verdict, b: Verdict) -> bool:
    """Do they agree, and in the mistake's name too, where the check was not so slow that time for it ran out?"""
    slow = max(a.seconds, b.seconds) > 0.1 and None in (a.mistake, b.mistake)
    return _told(a) == _told(b) and (slow or a.mistake == b.mistake)


def _told(verdict: Verdict) -> tuple[str, ...]:
    texts = [verdict.called, verdict.expected, verdict.got]
    for pattern, word in _BY_CHANCE:
        texts = [re.sub(pattern, word, text) for text in texts]
    return verdict.state, *texts


_BY_CHANCE = (
    (r"/tmp/\S*", "/tmp/…"),  # the names of temporary folders
    (r"(\.\d{4})\d+", r"\1"),  # digits that depend on the order in which numbers are added up
    (r"\S+× its speed \(median of \d+ pairs\)", "…× its speed"),
)


def _shown(verdict: Verdict) -> str:
    return " · ".join(filter(None, (*_told(verdict), verdict.mistake)))


def _undecided(*verdicts: Verdict) -> bool:
    """Whether a speed check was decided only once, for the machine was too busy the other time."""
    states = {verdict.state for verdict in verdicts}
    return State.INCONCLUSIVE in states and states <= {State.INCONCLUSIVE, State.PASSED}


def survey_jailed(course: Course, exercises: Sequence[Exercise], jail: Jail, *, seed: int = 0) -> Survey:
    """Judge all mutants of some exercises in a jail, one after the other.

    Raises:
        ControlError: the checks hold something against a solution as it stands.
    """
    results = []
    for exercise in exercises:
        control = judge_mutant_jailed(course, unchanged(course, exercise), jail, seed=seed)
        if control.fate is not Fate.SURVIVED:
            raise ControlError(f"{control.mutant}: {control.fate} by {control.check}: {control.told}")
        mutants = mutants_of(course, exercise)
        results += [judge_mutant_jailed(course, mutant, jail, seed=seed) for mutant in mutants]
    hours = sorted({exercise.hour for exercise in exercises})
    return Survey(tuple(results), tuple(known for hour in hours for known in equivalents_of(course, hour)))


def judge_mutant_jailed(course: Course, mutant: Mutant, jail: Jail, *, seed: int = 0) -> MutantResult:
    """Judge one mutant in a jail, up to the first check that finds it wrong.

    It is handed in below the solutions, so that it takes the right one's place.
    """
    began = monotonic()
    exercise = course.exercise(mutant.exercise)
    solution = (course.root / "solutions" / course.hour(exercise.hour).file_name).read_text(encoding="utf-8")
    with closing(_verdicts(course, exercise, f"{solution}\n\n{mutant.source}\n".encode(), jail, seed)) as verdicts:
        for verdict in verdicts:
            if verdict.state in _FATES:
                fate = _FATES[verdict.state]
                return MutantResult(mutant, fate, verdict.check, verdict.got, monotonic() - began)
    return MutantResult(mutant, Fate.SURVIVED, seconds=monotonic() - began)


_FATES = dict.fromkeys(WRONG, Fate.KILLED) | {
    State.TIMEOUT: Fate.TIMED_OUT,
    State.CRASHED: Fate.CRASHED,
    State.KIT_ERROR: Fate.KIT_ERROR,
}


def _verdicts(
    course: Course, exercise: Exercise, source: bytes, jail: Jail, seed: int
) -> Generator[Verdict, None, None]:
    alone = replace(course.hour(exercise.hour), exercises=(exercise,))
    return judge_file(course, alone, source, jail, seed=seed, long=False)
