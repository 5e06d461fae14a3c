"""Whose answers resemble whose: evidence for a person to look at, never a mark.

Two files of the same hour are compared by the runs of tokens (`reading.Reading`) that they share. What stands in the
stub is left out, and a run that many students have counts less than one that only two have: the obvious way to write
a line is no evidence of anything. The order of functions plays no part.

    submissions → readings → runs of tokens → all pairs, at once → the passages that the most similar pairs share
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nlargest

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer  # type: ignore[import-untyped]

from deepdive.build import stub_of
from deepdive.course import Course, Hour
from deepdive.grading.classlist import HandedIn
from deepdive.grading.marks import Student
from deepdive.grading.reading import Reader, Reading, text_of

RUN = 12  # tokens that must stand in both files in the same order to count as shared: about a line and a half
LEAST_RUNS = 60  # of a file's own; below that, about ten lines, any two files may be the same by chance
MOST_PAIRS = 10  # of an hour that are shown
_BINS = 1000  # of the shares of all pairs, to say what is usual
_ROWS = 256  # of the table of all pairs that are in memory at once
_MOST_PASSAGES = 12  # of a pair that are shown, the longest
_MOST_LINES = 40  # of a passage that are shown
_MOST_PLACES = 40  # of one run in a file that are looked at
_MOST_STEPS = 2_000_000  # in search of one pair's passages; a copy takes 6,000


@dataclass(frozen=True)
class Line:
    """A line of a file, with its number, from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class Passage:
    """What two files have in common at one place: the lines of each, and how many tokens."""

    first: tuple[Line, ...]
    second: tuple[Line, ...]
    tokens: int


@dataclass(frozen=True)
class Pair:
    """Two students' files of one hour.

    Args:
        hour: which.
        students: whose they are.
        share: of the shorter file's own runs, those that stand in the other, too, each weighed by its rarity; 0 to 1.
        identical: whether they are the same, byte for byte.
        passages: that they share, the longest first.
        more: passages that are not among these.
    """

    hour: int
    students: tuple[Student, Student]
    share: float
    identical: bool
    passages: tuple[Passage, ...]
    more: int


@dataclass(frozen=True)
class Compared:
    """One hour of a class.

    Args:
        hour: which.
        files: that were compared.
        median: of the shares of all pairs of files.
        high: what one pair in twenty reaches.
        pairs: the most similar ones.
    """

    hour: Hour
    files: int
    median: float
    high: float
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class LeftOut:
    """A file, or a submission, that was not compared, or not all of it, and why."""

    student: Student
    file: str
    why: str


@dataclass(frozen=True)
class Similarity:
    """What became of a comparison."""

    hours: tuple[Compared, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def pairs(self) -> list[Pair]:
        """The most similar pairs of all hours, the most similar first."""
        return sorted((pair for hour in self.hours for pair in hour.pairs), key=lambda pair: -pair.share)


@dataclass(frozen=True)
class _File:
    student: Student
    content: bytes
    reading: Reading
    runs: frozenset[int]  # hashes of its runs, without the stub's


def compare(
    course: Course, handed_in: Iterable[HandedIn], hours: set[int], tell: Callable[[int], None] = lambda read: None
) -> Similarity:
    """Compare the files of different students, hour by hour.

    Args:
        course: the course.
        handed_in: the submissions; several of one student are not compared with one another.
        hours: the hours to compare.
        tell: called after every file, with how many have been read.
    """
    chosen = [hour for hour in course.hours if hour.number in hours]
    files: dict[int, list[_File]] = {hour.number: [] for hour in chosen}
    left_out, seen = list[LeftOut](), set[tuple[str, bytes]]()
    with Reader() as reader:
        read = cache(reader.read)
        stubs = {hour.number: set(_runs(read(_stub(course, hour)).tokens)) for hour in chosen}
        for each in handed_in:
            left_out += [LeftOut(each.student, each.submission.name, why) for why in each.submission.refused]
            for hour in chosen:
                content = each.submission.files.get(hour.file_name)
                if content is None or (each.student.id, content) in seen:
                    continue
                seen.add((each.student.id, content))
                reading = read(content)
                runs = frozenset(_runs(reading.tokens)) - stubs[hour.number]
                enough = len(runs) >= LEAST_RUNS
                if enough:
                    files[hour.number].append(_File(each.student, content, reading, runs))
                if reading.problem or not enough:
                    why = reading.problem if enough or not reading.tokens else "too little of its own to be compared"
                    left_out.append(LeftOut(each.student, hour.file_name, why))
                tell(len(seen))
    return Similarity(
        tuple(_compared(hour, files[hour.number], stubs[hour.number]) for hour in chosen), tuple(left_out)
    )


def _stub(course: Course, hour: Hour) -> bytes:
    return stub_of((course.root / "solutions" / hour.file_name).read_text(encoding="utf-8")).encode()


def _runs(tokens: Sequence[str]) -> list[int]:
    """The hash of the run that begins at each token."""
    return [hash(tokens[i : i + RUN]) for i in range(len(tokens) - RUN + 1)]


# ── all pairs ───────────────────────────────────────────────────────────────────────────────────────────────────


def _compared(hour: Hour, files: list[_File], stub: set[int]) -> Compared:
    counts = np.zeros(_BINS, dtype=np.int64)
    found: dict[frozenset[str], tuple[float, int, int]] = {}
    for first, shares in _shares(files):
        counts += np.histogram(shares[shares >= 0], bins=_BINS, range=(0, 1))[0]
        for who, best in _best(shares, first, files).items():
            found[who] = max(best, found.get(who, best))
    chosen = nlargest(MOST_PAIRS, found.values())
    pairs = tuple(_pair(hour, files[i], files[j], share, stub) for share, i, j in chosen)
    return Compared(hour, len(files), _quantile(counts, 0.5), _quantile(counts, 0.95), pairs)


def _shares(files: list[_File]) -> Iterator[tuple[int, np.ndarray]]:
    """The table of all pairs, some rows at a time: the first row's number, and shares; −1 where there is no pair."""
    if len(files) < 2:
        return
    has = CountVectorizer(analyzer=lambda file: file.runs, dtype=np.float64).fit_transform(files)
    weighed = has @ sparse.diags(TfidfTransformer().fit(has).idf_)
    totals = np.asarray(weighed.sum(axis=1)).ravel()
    _, who = np.unique([file.student.id for file in files], return_inverse=True)
    numbers = np.arange(len(files))
    for first in range(0, len(files), _ROWS):
        rows = slice(first, first + _ROWS)
        shares = (weighed[rows] @ has.T).toarray() / np.minimum(totals[rows, None], totals[None, :])
        no_pair = (numbers[None, :] <= numbers[rows, None]) | (who[None, :] == who[rows, None])
        yield first, np.where(no_pair, -1.0, np.minimum(shares, 1.0))


def _best(shares: np.ndarray, first: int, files: list[_File]) -> dict[frozenset[str], tuple[float, int, int]]:
    """The students with the greatest shares: each pair of students once, by the most similar of their attempts."""
    found: dict[frozenset[str], tuple[float, int, int]] = {}
    for place in np.argsort(shares, axis=None)[::-1]:
        row, j = divmod(int(place), shares.shape[1])
        if shares[row, j] <= 0 or len(found) == MOST_PAIRS:
            break
        i = first + row
        found.setdefault(frozenset((files[i].student.id, files[j].student.id)), (float(shares[row, j]), i, j))
    return found


def _quantile(counts: np.ndarray, share: float) -> float:
    """The value that this share of all values does not exceed, from how many fall into each bin from 0 to 1."""
    return float(1 + np.searchsorted(np.cumsum(counts), share * counts.sum())) / _BINS if counts.any() else 0.0


# ── one pair ────────────────────────────────────────────────────────────────────────────────────────────────────


def _pair(hour: Hour, first: _File, second: _File, share: float, stub: set[int]) -> Pair:
    a, b = first.reading, second.reading
    found = common(a.tokens, b.tokens, _covered(a.tokens, stub), _covered(b.tokens, stub))
    lines_a, lines_b = (text_of(file.content).split("\n") for file in (first, second))
    passages = tuple(
        Passage(_shown(lines_a, a.lines[i : i + n]), _shown(lines_b, b.lines[j : j + n]), n)
        for i, j, n in found[:_MOST_PASSAGES]
    )
    same = first.content == second.content
    more = max(0, len(found) - _MOST_PASSAGES)
    return Pair(hour.number, (first.student, second.student), share, same, passages, more)


def _covered(tokens: tuple[str, ...], stub: set[int]) -> list[bool]:
    """Which of the tokens are the stub's."""
    covered = [False] * len(tokens)
    for i, run in enumerate(_runs(tokens)):
        if run in stub:
            covered[i : i + RUN] = [True] * RUN
    return covered


def common(
    a: tuple[str, ...], b: tuple[str, ...], used_a: list[bool], used_b: list[bool]
) -> list[tuple[int, int, int]]:
    """The passages that two sequences share, in whatever order they stand, the longest first; none overlap.

    Michael Wise's greedy string tiling, which is also JPlag's.

    Args:
        a, b: the tokens.
        used_a, used_b: which of them belong to no passage; changed in place.

    Returns:
        Where a passage begins in `a` and in `b`, and its length; at least RUN.
    """
    places: dict[int, list[int]] = {}
    for j, run in enumerate(_runs(b)):
        if len(there := places.setdefault(run, [])) < _MOST_PLACES:
            there.append(j)
    matches = list[tuple[int, int, int]]()
    steps = 0
    for i, run in enumerate(_runs(a)):
        for j in places.get(run, ()):
            if i and j and a[i - 1] == b[j - 1]:
                continue  # it is in the middle of a match that began before
            length = RUN
            while i + length < len(a) and j + length < len(b) and a[i + length] == b[j + length]:
                length += 1
            steps += length
            matches.append((length, i, j))
        if steps > _MOST_STEPS:
            break
    found = list[tuple[int, int, int]]()
    for length, i, j in sorted(matches, key=lambda match: (-match[0], match[1:])):
        for start, end in _free(used_a[i : i + length], used_b[j : j + length]):
            used_a[i + start : i + end] = used_b[j + start : j + end] = [True] * (end - start)
            found.append((i + start, j + start, end - start))
    return sorted(found, key=lambda passage: -passage[2])


def _free(used_a: Sequence[bool], used_b: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """The stretches of at least RUN tokens that are used in neither."""
    start = 0
    for place, used in enumerate([*(x or y for x, y in zip(used_a, used_b, strict=True)), True]):
        if used:
            if place - start >= RUN:
                yield start, place
            start = place + 1


def _shown(lines: list[str], numbers: Sequence[int]) -> tuple[Line, ...]:
    shown = range(min(numbers), min(max(numbers), min(numbers) + _MOST_LINES - 1) + 1)
    return tuple(Line(number, lines[number - 1].rstrip()) for number in shown if number <= len(lines))
