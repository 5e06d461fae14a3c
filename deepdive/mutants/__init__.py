"""Mutants: the solutions with one small thing wrong, to find what the checks do not see.

A mutant is the body of one exercise with one operator, number, argument, branch or statement changed. The checks of
the exercise must find each of them wrong. One that survives is a hole in the checks, unless it does the same as the
solution: then it stands in `tests/equivalent_mutants/` with the reason.

Only what lies between `### BEGIN SOLUTION` and `### END SOLUTION` is mutated. The signature stays, for the stub fixes
it, and so does the text of error messages. Mutants are judged in processes of their own: one that loops without end
or eats the memory costs its own time and no more.
"""

from deepdive.mutants.generate import Mutant, mutants_of, mutate, unchanged
from deepdive.mutants.judging import ControlError, Fate, MutantResult, judge_mutant, run_mutants
from deepdive.mutants.operators import OPERATORS
from deepdive.mutants.survey import Equivalent, Survey, equivalents_of, survey_of

__all__ = [
    "OPERATORS",
    "ControlError",
    "Equivalent",
    "Fate",
    "Mutant",
    "MutantResult",
    "Survey",
    "equivalents_of",
    "judge_mutant",
    "mutants_of",
    "mutate",
    "run_mutants",
    "survey_of",
    "unchanged",
]
