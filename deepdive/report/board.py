"""The board at the end of a run: hours with their bars, the exercises at hand, points, and what to do next."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from deepdive.answer_files import AnswerFiles
from deepdive.assets import describe
from deepdive.course import Course, Exercise, Hour
from deepdive.report.block import SIGN, ascii_only
from deepdive.verdict import WRONG, Outcome, State, Verdict, outcomes_of

_STYLE = {
    State.PASSED: "green",
    State.FAILED: "red",
    State.ERROR: "red",
    State.TIMEOUT: "red",
    State.CRASHED: "red",
    State.KIT_ERROR: "magenta",
    State.INCONCLUSIVE: "yellow",
    State.NOT_APPLICABLE: "yellow",
}
_BAR = 12


@dataclass(frozen=True)
class Step:
    """What to do next: in a word or two, what it is about, where, and the command that tries it."""

    doing: str
    what: str
    worth: str
    where: str
    command: str


@dataclass(frozen=True)
class Board:
    """Everything the board shows.

    Args:
        course: all hours.
        outcomes: one for each exercise, in the course's order.
        shown: the numbers of the hours whose exercises are listed.
        step: what to do next; None when everything is done.
        against: whose answers these are; "" for the learner's own.
        assets: one line that says where the weights and texts come from.
        reused: how many verdicts are those of an earlier run.
        changed: what a newer kit has changed in stubs, a line for each kind.
    """

    course: Course
    outcomes: Sequence[Outcome]
    shown: frozenset[int]
    step: Step | None
    against: str
    assets: str
    reused: int = 0
    changed: Sequence[str] = ()

    def text(self, width: int = 80, *, colour: bool = False, unicode: bool = True, brief: bool = False) -> str:
        """The board as lines of at most `width` columns; `brief` leaves the single exercises out."""
        console = Console(
            file=io.StringIO(),
            width=max(40, width),
            force_terminal=colour,
            no_color=not colour,
            color_system="standard" if colour else None,
            legacy_windows=False,
        )
        with console.capture() as captured:
            console.print(self._render(console.width, brief))
        lines = "\n".join(line.rstrip() for line in captured.get().splitlines())
        return lines if unicode else ascii_only(lines)

    def _render(self, width: int, brief: bool) -> RenderableType:
        parts: list[RenderableType] = []
        table = Table.grid(padding=(0, 2))
        for column in range(5):
            table.add_column(justify="right" if column >= 3 else "left", no_wrap=True)
        for hour in self.course.hours:
            table.add_row(*self._hour(hour, width))
        parts.append(table)
        if not brief:
            for hour in self.course.hours:
                if hour.number in self.shown:
                    several = len(self.course.hours) > 1
                    parts.append(Text(f"\nHour {hour.number}" if several else "", style="bold"))
                    parts.append(self._exercises(hour, width))
        parts.append(Text(""))
        if self.against:
            parts.append(Text(f"These are the answers of {self.against}."))
        if self.step is not None:
            parts.append(_next(self.step))
        elif all(outcome.earned for outcome in self.outcomes):
            parts.append(Text("Every exercise passes.", style="bold green"))
        parts += [Text(f"changed {line}", style="yellow") for line in self.changed]
        if self.reused:
            kept = "1 verdict" if self.reused == 1 else f"{self.reused} verdicts"
            parts.append(Text(f"kept    {kept} of unchanged answers; --fresh tries them again", style="dim"))
        if self.assets and not brief:
            parts.append(Text(f"assets  {self.assets}", style="dim"))
        return Group(*parts)

    def _hour(self, hour: Hour, width: int) -> tuple[Text, ...]:
        """One hour's line; of exercises that did not run it says so, and counts neither them nor their points."""
        outcomes = [o for o in self.outcomes if o.hour == hour.number]
        ran = {o.exercise: o for o in outcomes if o.state is not State.NOT_RUN}
        core = [e.name for e in hour.exercises if not e.stretch and e.name in ran]
        done = sum(ran[name].earned > 0 for name in core)
        earned, possible = sum(o.earned for o in ran.values()), sum(o.possible for o in ran.values())
        filled = round(_BAR * earned / possible) if possible else 0
        whole = len(ran) == len(outcomes)
        tick = (
            Text("✓", style="bold green") if whole and core and done == len(core) else Text(str(hour.number), "bold")
        )
        bar = Text("█" * filled, style="green") + Text("░" * (_BAR - filled), style="dim")
        title = Text(hour.title if width >= 72 else f"Hour {hour.number}")
        counts = f"{done}/{len(core)} core" if whole else f"{len(ran)} of {len(outcomes)} ran"
        return tick, title, bar if width >= 56 else Text(""), Text(counts), Text(f"{earned}/{possible} points")

    def _exercises(self, hour: Hour, width: int) -> Table:
        ran = {o.exercise for o in self.outcomes if o.hour == hour.number and o.state is not State.NOT_RUN}
        cells = [self._exercise(exercise) for exercise in hour.exercises if exercise.name in ran]
        columns = 2 if width >= 76 else 1
        rows = -(-len(cells) // columns)
        table = Table.grid(padding=(0, 3))
        for row in range(rows):
            table.add_row(*cells[row::rows])
        return table

    def _exercise(self, exercise: Exercise) -> Text:
        outcome = next(o for o in self.outcomes if (o.hour, o.exercise) == (exercise.hour, exercise.name))
        text = Text.assemble(("  " + SIGN[outcome.state] + " ", _STYLE.get(outcome.state, "")), exercise.name)
        if exercise.stretch:
            text.append(" ○", style="dim")
        note = ""
        if outcome.state in (State.TODO, State.NOT_RUN) and outcome.passed_checks:
            note = f"{outcome.passed_checks} of {outcome.checks} checks pass"
        elif outcome.state not in (State.PASSED, State.TODO, State.FAILED, State.NOT_RUN):
            note = str(outcome.state)
        if note:
            text.append(f" {note}", style=_STYLE.get(outcome.state, "dim"))
        return text


def board_of(
    course: Course,
    verdicts: Sequence[Verdict],
    files: AnswerFiles,
    against: str,
    reused: int = 0,
    changed: Sequence[str] = (),
) -> Board:
    """The board for these verdicts.

    Args:
        course: the course.
        verdicts: in the course's order.
        files: where the answers are, to say where the next one is to be written.
        against: whose answers they are, if not the learner's own.
        reused: how many of the verdicts are those of an earlier run.
        changed: what a newer kit has changed in stubs.
    """
    outcomes = outcomes_of(course, verdicts)
    paths = {e.name: files.shown(files.path(e)) for e in course.exercises}
    where = {e.name: f"{paths[e.name]}:{files.line(e)}" for e in course.exercises}
    broken = [paths[verdict.exercise] for verdict in verdicts if verdict.file]
    step = next_step(course, outcomes, where, broken)
    return Board(course, outcomes, _hours_at_hand(outcomes), step, against, assets_line(), reused, changed)


def assets_line() -> str:
    """Where the weights and texts come from, in a line: a stand-in is never passed off as the original."""
    described = describe()
    names = [name for name, asset in described["assets"].items() if asset["stand_in"]]
    stand_ins = f"; stand-ins for {', '.join(names)}" if names else ""
    return f"{described['source']}{stand_ins}"


def _hours_at_hand(outcomes: Sequence[Outcome]) -> frozenset[int]:
    """The hours whose exercises are listed: those begun and not finished; else the first that is not finished."""
    ran = {o.hour for o in outcomes if o.state is not State.NOT_RUN}
    begun = {o.hour for o in outcomes if o.state not in (State.TODO, State.NOT_RUN)}
    unfinished = {o.hour for o in outcomes if o.hour in ran and not o.earned}
    return frozenset((begun & unfinished) or {min(unfinished or ran or {o.hour for o in outcomes})})


def _next(step: Step) -> Text:
    return Text.assemble(
        ("next    ", "bold"),
        f"{step.doing} ",
        (step.what, "bold"),
        f" · {step.worth}" if step.worth else "",
        f"\n        {step.where}" if step.where else "",
        f"\n        then run  {step.command}",
    )


def next_step(
    course: Course, outcomes: Sequence[Outcome], where: dict[str, str], broken: Sequence[str]
) -> Step | None:
    """What to do next: mend a file that cannot be loaded, else what is wrong, else what is still to do.

    Core exercises come before stretch ones, and both in the course's order.

    Args:
        course: the course.
        outcomes: one for each exercise.
        where: by exercise, `exercises/hour1_attention.py:31`.
        broken: the files that could not be loaded.
    """
    if broken:
        return Step("mend", broken[0], "", "it cannot be loaded: see above", "pytest")
    exercises = {(e.hour, e.name): e for e in course.exercises}
    pairs = [(exercises[o.hour, o.exercise], o) for o in outcomes]
    for doing, states in (("mend", WRONG), ("write", {State.TODO})):
        for stretch in (False, True):
            for exercise, outcome in pairs:
                if exercise.stretch == stretch and outcome.state in states:
                    about = f"about {exercise.minutes} min, {exercise.worth}"
                    return Step(doing, exercise.name, about, where[exercise.name], f"pytest -k {exercise.name}")
    if any(outcome.state is State.NOT_RUN for outcome in outcomes):
        return Step("see", "the whole board", "", "", "pytest")
    return None
