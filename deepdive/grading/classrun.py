"""Grading a class: take everything in, judge what has not been judged, and work out the marks.

    submissions → gradebook → jobs for what has no verdict yet → executor → gradebook → marks

Every step can be cut off anywhere and done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import msgspec

from deepdive.assets import describe
from deepdive.course import Course
from deepdive.grading.classlist import Roster, class_of
from deepdive.grading.executors import Executor
from deepdive.grading.gradebook import Entry, Gradebook
from deepdive.grading.jobs import Job, Keys, kit_digest
from deepdive.grading.marks import NOT_HANDED_IN, Mark, Student
from deepdive.grading.policy import Policy
from deepdive.grading.records import Records
from deepdive.verdict import State, record_of

_NOT_KEPT = {State.KIT_ERROR}  # the kit's own failure: tried again by the next run


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Args:
        done: jobs that have ended.
        total: jobs there are.
        failed: of them, those that brought no verdict.
        seconds: since the first job began.
    """

    done: int
    total: int
    failed: int
    seconds: float

    @property
    def left(self) -> float | None:
        """Seconds left, if all goes on like this."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Args:
        submissions: in the gradebook, and how many of them are new.
        new: submissions that were not there before.
        jobs: that were run.
        problems: why some brought no verdict, and how often.
    """

    submissions: int
    new: int
    jobs: int
    problems: Counter[str]


def take_in(book: Gradebook, course: Course, places: Sequence[Path], roster: Roster) -> int:
    """Add what lies in these places to the gradebook; how many submissions are new."""
    return book.add_submissions(handed_in for place in places for handed_in in class_of(place, course, roster))


def to_do(book: Gradebook, course: Course, keys: Keys, hours: Iterable[int]) -> list[tuple[int, str]]:
    """The hours and files that lack a verdict, each once, in the order in which they were handed in."""
    entries, numbers = book.entries(), set(hours)
    wanted = dict.fromkeys(
        (hour.number, entry.files[hour.file_name])
        for hour in course.hours
        if hour.number in numbers
        for entry in entries
        if hour.file_name in entry.files
    )
    judged = {hour: book.judged(keys.judges(hour)) for hour in {hour for hour, _ in wanted}}
    return [(hour, source) for hour, source in wanted if judged[hour].get(source, 0) < len(keys.judges(hour))]


def jobs_of(book: Gradebook, keys: Keys, pairs: Iterable[tuple[int, str]]) -> Iterator[Job]:
    """A job for each, with the checks that lack a verdict."""
    for hour, source in pairs:
        checks = keys.of(hour, source)
        known = book.known(check.key for check in checks)
        missing = tuple(check for check in checks if check.key not in known)
        if missing:
            yield Job(hour, source, book.source(source), missing, keys.seed)


def judge_all(
    book: Gradebook,
    executor: Executor,
    keys: Keys,
    pairs: Sequence[tuple[int, str]],
    *,
    new: int = 0,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Judge what has no verdict yet. Whatever is done when this is cut off is in the gradebook.

    Args:
        book: the gradebook.
        executor: who judges.
        keys: of the verdicts, for this run's seed.
        pairs: the hours and files to judge, from `to_do`.
        new: submissions that were added before.
        tell: called after every job.
    """
    run = _start_run(book, keys, executor.tier)
    problems, failed, began = Counter[str](), 0, monotonic()
    with closing(executor.run(jobs_of(book, keys, pairs))) as results:
        for done, result in enumerate(results, 1):
            asked = {check.key: check for check in result.job.checks}
            kept = [(asked[key], verdict) for key, verdict in result.verdicts if verdict.state not in _NOT_KEPT]
            book.add_verdicts(run, result.job.source, kept)
            unkept = [verdict for _, verdict in result.verdicts if verdict.state in _NOT_KEPT]
            problems.update(verdict.got for verdict in unkept)
            problems.update([result.problem] if result.problem else [])
            failed += bool(unkept or result.problem)
            tell(Progress(done, len(pairs), failed, monotonic() - began))
    return Summary(book.count(), new, len(pairs), problems)


def nothing_to_judge(book: Gradebook, keys: Keys, *, new: int = 0) -> Summary:
    """A run in which everything has a verdict: only its seed is noted, if it is another one, for marks to go by."""
    if book.last_seed() != keys.seed:
        _start_run(book, keys, next(reversed(book.tiers().values()), ""))
    return Summary(book.count(), new, 0, Counter())


def _start_run(book: Gradebook, keys: Keys, tier: str) -> int:
    return book.start_run(keys.seed, kit_digest(), tier, msgspec.json.encode(describe()).decode())


def marks(
    book: Gradebook,
    course: Course,
    keys: Keys,
    policy: Policy,
    student: str | None = None,
    *,
    roster: Roster | None = None,
    whole: bool = True,
) -> list[Mark]:
    """The mark of every student, or of one of them, by student.

    Args:
        book: the gradebook.
        course: the course.
        keys: of the verdicts.
        policy: which attempt counts, and what lateness costs.
        student: only this one.
        roster: who else is in the course, and has no points for having handed in nothing.
        whole: with all that was found out; else with how each check ended and the points, which is quick.
    """
    records = Records(book, course, keys, whole=whole)
    tier = next(reversed(book.tiers().values()), "")
    attempts: dict[str, list[Entry]] = {}
    for entry in book.entries(student):
        attempts.setdefault(entry.student.id, []).append(entry)
    found = [_mark(records, policy, sorted(entries, key=_when), tier) for entries in attempts.values()]
    missing = (s for s in (roster.students if roster else ()) if s.id not in attempts and student in (None, s.id))
    found += [_without_submission(course, keys, each) for each in missing]
    return sorted(found, key=lambda mark: mark.student.id)


def _without_submission(course: Course, keys: Keys, student: Student) -> Mark:
    record = record_of(course, [], NOT_HANDED_IN, keys.seed, describe())
    return Mark(student, NOT_HANDED_IN, record, raw=0, possible=record.possible, final=0, attempt=0, attempts=0)


def _when(entry: Entry) -> tuple[float, int]:
    return entry.submitted.timestamp() if entry.submitted else 0.0, entry.number


def _mark(records: Records, policy: Policy, entries: list[Entry], tier: str) -> Mark:
    attempts = [records.of(entry) for entry in entries]
    finals = [
        policy.apply(record.earned, policy.days_late(entry.submitted, called_late=entry.late))
        for record, entry in zip(attempts, entries, strict=True)
    ]
    which = policy.choose([final for final, _ in finals])
    entry, record, (final, words) = entries[which], attempts[which], finals[which]
    return Mark(
        student=entry.student,
        submission=entry.name,
        record=record,
        raw=record.earned,
        possible=record.possible,
        final=final,
        policy=words,
        attempt=which + 1,
        attempts=len(entries),
        submitted=entry.submitted,
        refused=entry.refused,
        tier=tier,
    )
