"""What the results come to: the holes in the checks, and the mutants that are known to do no harm."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepdive.course import Course, Exercise
from deepdive.mutants.judging import Fate, MutantResult, run_mutants


@dataclass(frozen=True)
class Equivalent:
    """A mutant known to be no worse than the solution, and why."""

    exercise: str
    diff: str
    reason: str


@dataclass(frozen=True)
class Survey:
    """What the mutants say about the checks.

    Args:
        results: every mutant's.
        equivalents: the mutants that may survive.
    """

    results: tuple[MutantResult, ...]
    equivalents: tuple[Equivalent, ...]

    @property
    def holes(self) -> list[MutantResult]:
        """Mutants that no check found wrong although nobody has said why they should be right."""
        listed = {(known.exercise, known.diff) for known in self.equivalents}
        return [result for key, result in self._survivors.items() if key not in listed]

    @property
    def kit_errors(self) -> list[MutantResult]:
        """Mutants on which a check broke instead of judging."""
        return [result for result in self.results if result.fate is Fate.KIT_ERROR]

    @property
    def stale(self) -> list[Equivalent]:
        """Entries for mutants that are now killed or no longer made."""
        tried = {result.mutant.exercise for result in self.results}
        survivors = self._survivors
        return [
            known
            for known in self.equivalents
            if known.exercise in tried and (known.exercise, known.diff) not in survivors
        ]

    @property
    def _survivors(self) -> dict[tuple[str, str], MutantResult]:
        """By exercise and diff, as the equivalents are listed."""
        survivors = [result for result in self.results if result.fate is Fate.SURVIVED]
        return {(result.mutant.exercise, result.mutant.diff): result for result in survivors}

    @property
    def summary(self) -> str:
        """The figures, in a line."""
        killed, holes = sum(result.killed for result in self.results), len(self.holes)
        equivalent = len(self._survivors) - holes
        return f"{len(self.results)} mutants: {killed} killed, {equivalent} equivalent, {holes} holes"

    @property
    def problems(self) -> list[str]:
        """What there is to mend, each in a line."""
        return [
            *(f"no check finds this wrong: {result.mutant}" for result in self.holes),
            *(
                f"{result.check or 'the kit'} breaks on this ({result.told}): {result.mutant}"
                for result in self.kit_errors
            ),
            *(f"listed as equivalent, but killed or gone: {known.exercise}  {known.diff}" for known in self.stale),
        ]


def equivalents_of(course: Course, hour: int) -> tuple[Equivalent, ...]:
    """The equivalent mutants of one hour: the `[[mutant]]` tables of its file in `tests/equivalent_mutants/`."""
    name = Path(course.hour(hour).file_name).with_suffix(".toml")
    path = course.root / "tests" / "equivalent_mutants" / name
    if not path.exists():
        return ()
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return tuple(Equivalent(**entry) for entry in entries)


def survey_of(course: Course, exercises: Sequence[Exercise], seed: int = 0) -> Survey:
    """Judge all mutants of some exercises, and hold the survivors against the lists of their hours.

    Raises:
        ControlError: the checks hold something against a solution as it stands.
    """
    hours = sorted({exercise.hour for exercise in exercises})
    equivalents = tuple(known for hour in hours for known in equivalents_of(course, hour))
    return Survey(tuple(run_mutants(course, exercises, seed=seed)), equivalents)
