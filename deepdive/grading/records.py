"""From a gradebook's verdicts to the records of submissions: whole ones, or ones that say no more than the points do.

Whatever is the same for many students, such as an hour that nobody has handed in yet, is worked out once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deepdive.assets import describe
from deepdive.course import Course, Hour
from deepdive.grading.gradebook import Entry, Gradebook
from deepdive.grading.jobs import Keys
from deepdive.grading.run import not_handed_in
from deepdive.verdict import Outcome, Record, State, Verdict, outcome_of, record_of

_Hour = tuple[Sequence[Verdict], Sequence[Outcome]]
_NOTHING: Mapping[str, State] = {}


class Records:
    """Reads records; checks that have not been run are not in them.

    Args:
        book: the gradebook.
        course: the course.
        keys: of the verdicts.
        whole: read all that was found out; else how each check ended, and nothing more, of the whole class at once.
    """

    def __init__(self, book: Gradebook, course: Course, keys: Keys, *, whole: bool = True) -> None:
        self._book, self._course, self._keys, self._whole = book, course, keys, whole
        self._assets = describe()
        self._missing: dict[int, _Hour] = {}
        self._ended: dict[int, dict[str, Mapping[str, State]]] = {}
        self._alike: dict[tuple[int, int], _Hour] = {}

    def of(self, entry: Entry) -> Record:
        """The record of a submission."""
        found = [self._hour(hour, entry.files.get(hour.file_name)) for hour in self._course.hours]
        verdicts = [verdict for verdicts, _ in found for verdict in verdicts]
        outcomes = [outcome for _, outcomes in found for outcome in outcomes]
        return record_of(self._course, verdicts, entry.name, self._keys.seed, self._assets, outcomes)

    def _hour(self, hour: Hour, source: str | None) -> _Hour:
        if source is None:
            if hour.number not in self._missing:
                self._missing[hour.number] = _with_outcomes(hour, list(not_handed_in(self._course, hour)))
            return self._missing[hour.number]
        if self._whole:
            checks = self._keys.of(hour.number, source)
            found = self._book.verdicts(check.key for check in checks)
            return _with_outcomes(hour, [found[check.key] for check in checks if check.key in found])
        if hour.number not in self._ended:
            self._ended[hour.number] = self._book.states(self._keys.judges(hour.number))
        ended = self._ended[hour.number].get(source, _NOTHING)
        alike = hour.number, id(ended)  # the gradebook gives one object to all files that ended alike
        if alike not in self._alike:
            self._alike[alike] = _with_outcomes(hour, self._brief(hour, ended))
        return self._alike[alike]

    def _brief(self, hour: Hour, ended: Mapping[str, State]) -> list[Verdict]:
        return [
            Verdict(hour=hour.number, exercise=exercise.name, check=check, state=ended[judge])
            for judge, (exercise, check) in self._keys.judges(hour.number).items()
            if judge in ended
        ]


def _with_outcomes(hour: Hour, verdicts: list[Verdict]) -> _Hour:
    return verdicts, [outcome_of(exercise, verdicts) for exercise in hour.exercises]
