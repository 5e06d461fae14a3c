"""Pages to read in a browser: one for each student, with what a run of one's own would show, and one for the class.

Each is one file that needs nothing else: no script, no font, no picture from elsewhere, and a policy that forbids
them all. What is printed into a page is made visible and escaped by the template engine, never by hand.

Arrays have pictures where a check's inputs stand in the check; where they are random, and so the class's secret, its
block says the difference in words alone. The learner's own page is `deepdive.report.learner`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from deepdive.course import Check, Course
from deepdive.diagnose import known_mistakes
from deepdive.grading.export.text import capped, number, visible_lines
from deepdive.grading.export.told import MEANS, Told, assets, told
from deepdive.grading.marks import Mark, Student
from deepdive.grids import Comparison
from deepdive.pictures.comparison import comparison, side_by_side
from deepdive.report.block import SIGN
from deepdive.verdict import WRONG, State, Verdict

# Where an instructor should look: what went wrong may be the machine's or the kit's doing, not the answer's.
FLAGGED = (State.KIT_ERROR, State.CRASHED, State.TIMEOUT, State.NOT_RUN)
UNTRIED = frozenset({State.TODO, State.NOT_RUN, State.INCONCLUSIVE, State.NOT_APPLICABLE, State.KIT_ERROR})
BARS = 10
_LONGEST = 30  # rows of a table of the worst
_TEXT = 8_000  # characters of anything that is printed into a page


def _printed(value: Any) -> Any:
    """Whatever a template prints: texts visible and capped, markup of the templates' own as it is."""
    return capped(visible_lines(value), _TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value


def _pictures(arrays: Comparison | None) -> Markup:
    """What was expected, what came, and the difference, as far as a verdict has kept them."""
    return side_by_side(comparison(arrays)) if arrays is not None else Markup()


TEMPLATES = Environment(
    loader=PackageLoader("deepdive.report"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_printed,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["points"] = number
TEMPLATES.filters["title"] = lambda check: Check(check, 0).title
TEMPLATES.filters["percent"] = lambda share: f"{100 * share:.0f}%"
TEMPLATES.filters["seconds"] = lambda seconds: f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
TEMPLATES.globals.update(SIGN=SIGN, MEANS=MEANS, pictures=_pictures)


# ── one student ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class HourRow:
    """An hour of the board: its title, points and exercises."""

    number: int
    title: str
    earned: float
    possible: float
    exercises: Sequence[Told]

    @property
    def core(self) -> Sequence[Told]:
        return [one for one in self.exercises if not one.exercise.stretch]

    @property
    def minutes_left(self) -> int:
        """What the exercises that do not pass yet take, about."""
        return sum(one.exercise.minutes for one in self.exercises if not one.outcome.earned)


def student_page(course: Course, mark: Mark) -> str:
    """One student's page: the board, and a block for every check that failed."""
    exercises = told(course, mark.record)
    states = {one.outcome.state for one in exercises} | {v.state for one in exercises for v in one.verdicts}
    return TEMPLATES.get_template("student.html").render(
        mark=mark,
        hours=hour_rows(course, exercises),
        failures=failures_of(exercises),
        states=[state for state in State if state in states],
        assets=assets(mark),
        stand_ins=stand_ins_of(mark.record.assets),
    )


def hour_rows(course: Course, exercises: Sequence[Told]) -> list[HourRow]:
    titles = {hour.number: hour.title for hour in course.hours}
    numbers = sorted({one.outcome.hour for one in exercises})
    by_hour = {n: [one for one in exercises if one.outcome.hour == n] for n in numbers}
    return [
        HourRow(n, titles.get(n, ""), sum(o.outcome.earned for o in of), sum(o.outcome.possible for o in of), of)
        for n, of in by_hour.items()
    ]


def failures_of(exercises: Sequence[Told]) -> list[tuple[Told, list[Verdict]]]:
    """What failed, by exercise; a file that could not be loaded is told once, at its first exercise."""
    files: set[str] = set()
    found = []
    for one in exercises:
        failing = []
        for verdict in one.failing:
            if verdict.file and verdict.file in files:
                continue
            if verdict.file:
                files.add(verdict.file)
            failing.append(verdict)
        if failing:
            found.append((one, failing))
    return found


def stand_ins_of(described_assets: dict[str, Any]) -> dict[str, str]:
    """What stood in for an original, and how it differs, as a record has it."""
    described = described_assets.get("assets", {})
    if not isinstance(described, dict):
        return {}
    return {name: asset["stand_in"] for name, asset in described.items() if asset.get("stand_in")}


# ── the class ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram: from which share of the points to which, in percent, and how many students."""

    label: str
    count: int


@dataclass(frozen=True)
class CheckRow:
    """How a check went in the class; times are seconds.

    Of a file that could not be loaded, or that was not handed in, a check has nothing to try.
    """

    hour: int
    exercise: str
    check: str
    tried: int
    failing: int
    todo: int
    median: float
    slowest: float

    @property
    def share(self) -> float:
        return self.failing / self.tried if self.tried else 0.0


@dataclass(frozen=True)
class MistakeRow:
    """A known mistake and how many students made it."""

    exercise: str
    name: str
    sentence: str
    students: int


@dataclass(frozen=True)
class Flag:
    """Something that an instructor should look at."""

    student: Student
    state: State
    where: str
    why: str


def class_page(course: Course, marks: Sequence[Mark], pages: Sequence[str] = ()) -> str:
    """The class's page.

    Args:
        course: the course.
        marks: one a student.
        pages: of the students, relative to this page, in the marks' order; no links when empty.
    """
    everybody, marks = marks, [mark for mark in marks if mark.handed_in]
    rows = _check_rows(course, marks)
    states = Counter(verdict.state for mark in marks for verdict in mark.record.verdicts)
    return TEMPLATES.get_template("class.html").render(
        everybody=everybody,
        marks=marks,
        links=list(pages) or [""] * len(everybody),
        finals=_spread([mark.final for mark in marks]),
        possible=sorted({mark.possible for mark in marks}),
        bars=_bars(marks),
        flags=_flags(marks),
        hardest=sorted((r for r in rows if r.failing), key=lambda r: (-r.share, -r.failing))[:_LONGEST],
        mistakes=_mistakes(course, marks),
        slowest=sorted((r for r in rows if r.slowest), key=lambda r: -r.median)[:_LONGEST],
        times=_spread([sum(verdict.seconds for verdict in mark.record.verdicts) for mark in marks]),
        refusals=[(mark.student, refusal) for mark in marks for refusal in mark.refused],
        states=[(state, states[state]) for state in State if states[state]],
        asset_lines=sorted({line for mark in marks if (line := assets(mark))}),
    )


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median, mean, greatest and sum; nothing for no values."""
    if not values:
        return {}
    return {
        "least": min(values),
        "median": median(values),
        "mean": mean(values),
        "greatest": max(values),
        "all": sum(values),
    }


def _bars(marks: Sequence[Mark]) -> list[Bar]:
    """How many students have which share of the points; who has all of them is in the last bar."""
    shares = [mark.final / mark.possible if mark.possible else 0.0 for mark in marks]
    places = Counter(min(max(int(share * BARS + 1e-9), 0), BARS - 1) for share in shares)
    width = 100 // BARS
    return [Bar(f"{width * i}–{width * (i + 1)}", places[i]) for i in range(BARS)]


def _check_rows(course: Course, marks: Sequence[Mark]) -> list[CheckRow]:
    found: dict[tuple[int, str, str], list[Verdict]] = defaultdict(list)
    for exercise in course.exercises:
        for check in exercise.checks:
            found[exercise.hour, exercise.name, check.name] = []
    for mark in marks:
        for verdict in mark.record.verdicts:
            found[verdict.hour, verdict.exercise, verdict.check].append(verdict)
    return [_check_row(key, verdicts) for key, verdicts in found.items()]


def _check_row(key: tuple[int, str, str], verdicts: Sequence[Verdict]) -> CheckRow:
    tried = [v for v in verdicts if v.state not in UNTRIED and not v.file]
    times = [v.seconds for v in tried]
    return CheckRow(
        *key,
        tried=len(tried),
        failing=sum(v.state in WRONG for v in tried),
        todo=sum(v.state is State.TODO for v in verdicts),
        median=median(times) if times else 0.0,
        slowest=max(times, default=0.0),
    )


def _mistakes(course: Course, marks: Sequence[Mark]) -> list[MistakeRow]:
    """Known mistakes by how many students made them: once each, however many checks told of it."""
    counts: Counter[tuple[str, str]] = Counter()
    told_then: dict[tuple[str, str], str] = {}
    for mark in marks:
        made = {(v.exercise, v.mistake): v.likely for v in mark.record.verdicts if v.mistake}
        counts.update(made.keys())
        told_then |= made
    sentences = _sentences(course, {exercise for exercise, _ in counts})
    return [MistakeRow(*key, sentences.get(key, told_then[key]), count) for key, count in counts.most_common()]


def _sentences(course: Course, names: set[str]) -> dict[tuple[str, str], str]:
    """What names each mistake of these exercises; of one that the course no longer has, the record's words remain."""
    return {
        (exercise.name, mistake.name): mistake.sentence
        for exercise in course.exercises
        if exercise.name in names
        for mistake in known_mistakes(course, exercise)
    }


def _flags(marks: Sequence[Mark]) -> list[Flag]:
    """One for each student and state, with the first reason; the kit's own failures first."""
    found: dict[tuple[int, int], dict[str, str]] = defaultdict(dict)  # by state and student: reasons by exercise
    for place, mark in enumerate(marks):
        for verdict in mark.record.verdicts:
            if verdict.state in FLAGGED:
                where = verdict.file or verdict.exercise
                found[FLAGGED.index(verdict.state), place].setdefault(where, verdict.got or verdict.likely)
        for outcome in mark.record.outcomes:
            if outcome.state is State.NOT_RUN:
                found[FLAGGED.index(State.NOT_RUN), place].setdefault(outcome.exercise, "")
    return [
        Flag(marks[place].student, FLAGGED[state], _few(list(reasons)), next(iter(reasons.values())))
        for (state, place), reasons in sorted(found.items())
    ]


def _few(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
