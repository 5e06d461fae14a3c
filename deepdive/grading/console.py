"""What an instructor sees of a class being graded: one line that moves, and a few sentences at the end."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from sqlalchemy.exc import SQLAlchemyError

from deepdive.assets import AssetError, use_offline
from deepdive.course import Course
from deepdive.grading.classlist import Roster, read_roster
from deepdive.grading.classrun import (
    Progress,
    Summary,
    judge_all,
    marks,
    nothing_to_judge,
    take_in,
    to_do,
)
from deepdive.grading.executors import Cluster, ExecutorError, Local, workers_that_fit
from deepdive.grading.gradebook import Gradebook, GradebookError, open_gradebook, shown
from deepdive.grading.jobs import Keys
from deepdive.grading.policy import Policy, read_policy
from deepdive.grading.records import Records
from deepdive.grading.run import judge_file
from deepdive.grading.session import open_jail
from deepdive.grading.work import Setup
from deepdive.report.block import blocks
from deepdive.report.terminal import say
from deepdive.scratch import scratch, temporary_files_in
from deepdive.verdict import State, Verdict

_LINE_SECONDS = 30.0  # between two lines where there is no terminal


@dataclass(frozen=True)
class Options:
    """How a class is to be graded.

    Args:
        hours: the hours to judge.
        seed: of the random inputs; that of the last run, or a fresh one, when None.
        workers: working processes; as many as fit when None.
        cluster: a Dask scheduler's address, to use its workers instead.
        unsafe: use no jail.
    """

    hours: set[int]
    seed: int | None = None
    workers: int | None = None
    cluster: str = ""
    unsafe: bool = False


def grade_class(course: Course, places: Sequence[Path], where: str, roster: Path | None, options: Options) -> Summary:
    """Take in these places and judge what has not been judged.

    Raises:
        RuntimeError: there is no gradebook, no roster or nobody to judge; the message says what to do.
    """
    try:
        summary = _grade_class(course, places, where, roster, options)
    except KeyboardInterrupt:
        say("\nstopped; what was done is kept. The same command goes on where this one was.")
        raise SystemExit(130) from None
    say(f"{summary.submissions} submissions, {summary.jobs} jobs run now")
    for problem, times in summary.problems.most_common():
        say(f"not judged, {times} times: {problem}")
    return summary


def _grade_class(
    course: Course, places: Sequence[Path], where: str, roster: Path | None, options: Options
) -> Summary:
    with _problems_told(), open_gradebook(where, make=bool(places)) as book:
        new = take_in(book, course, places, read_roster(roster) if roster else Roster())
        keys = Keys(course, _seed(book, options.seed))
        pairs = to_do(book, course, keys, options.hours)
        if not pairs:  # and so nobody is needed to judge, nor a jail
            say(f"seed {keys.seed} · {new} new submissions · everything has been judged")
            return nothing_to_judge(book, keys, new=new)
        setup = Setup(str(course.root), tuple(sorted(options.hours)), options.unsafe)
        count = min(options.workers or workers_that_fit(options.hours), len(pairs))
        executor = Cluster(options.cluster, setup) if options.cluster else Local(setup, count)
        who = options.cluster or f"{count} {'process' if count == 1 else 'processes'}"
        try:
            say(f"jail: {executor.tier} · seed {keys.seed} · {who} · {new} new submissions")
            with _line() as tell:
                return judge_all(book, executor, keys, pairs, new=new, tell=tell)
        finally:
            executor.close()


def replay(course: Course, where: str, student: str, options: Options) -> bool:
    """Judge a student's submissions once more with the seed they were judged with; whether it came to the same.

    Raises:
        RuntimeError: there is no such gradebook, student or jail.
    """
    with _problems_told(), open_gradebook(where, make=False) as book:
        keys = Keys(course, _seed(book, options.seed))
        entries = book.entries(student)
        if not entries:
            raise RuntimeError(f"nobody in {shown(where)} has the id {student}")
        same = True
        use_offline()
        with scratch() as folder, temporary_files_in(folder), open_jail(options.hours, unsafe=options.unsafe) as jail:
            for entry in entries:
                kept = {(v.hour, v.check): v.state for v in Records(book, course, keys).of(entry).verdicts}
                again: list[Verdict] = []
                for hour in course.hours:
                    if hour.number in options.hours and hour.file_name in entry.files:
                        source = book.source(entry.files[hour.file_name])
                        again += judge_file(course, hour, source, jail, seed=keys.seed)
                states = [(verdict, kept.get((verdict.hour, verdict.check))) for verdict in again]
                differing = [(verdict, before) for verdict, before in states if before not in (None, verdict.state)]
                unknown = sum(before is None for _, before in states)
                same = same and not differing
                say(f"\n{entry.name} · seed {keys.seed}")
                for text in blocks(course, again, 80):
                    say(f"\n{text}")
                passed = sum(v.state is State.PASSED for v in again)
                say(f"\n{passed} of {len(again)} checks pass; {len(differing)} came out differently than kept")
                for verdict, before in differing:
                    say(f"  {verdict.exercise} · {verdict.check}: {before}, now {verdict.state}")
                if unknown:
                    say(f"  {unknown} have no verdict by today's kit and checks: `deepdive grade` judges them")
    return same


def export(
    course: Course, where: str, form: str, out: Path, policy: Path | None, roster: Path | None = None
) -> list[Path]:
    """Write the marks of a gradebook for another system.

    Args:
        course: the course, or the hours of it that count.
        where: the gradebook.
        form: one of the export's formats.
        out: the folder to write to.
        policy: a file with the policy.
        roster: a file with the students, of whom those who handed in nothing get a mark, too.

    Raises:
        RuntimeError: there is no such gradebook, policy or roster, or no run in it.
    """
    from deepdive.grading.export import POINTS_ONLY, write

    with _problems_told(), open_gradebook(where, make=False) as book:
        keys = Keys(course, _kept_seed(book, where))
        if missing := to_do(book, course, keys, {hour.number for hour in course.hours}):
            hours = ", ".join(map(str, sorted({hour for hour, _ in missing})))
            raise RuntimeError(
                f"{len(missing)} of the files in {shown(where)}, of hour {hours}, lack a verdict by today's kit and "
                "checks, and would count as nothing: run `deepdive grade --gradebook …` first, or export others with "
                "--hour"
            )
        known = read_roster(roster) if roster else None
        how = read_policy(policy) if policy else Policy()
        found = marks(book, course, keys, how, roster=known, whole=form not in POINTS_ONLY)
        return write(form, course, found, out)


def _seed(book: Gradebook, wanted: int | None) -> int:
    """The seed asked for, else that of the last run, so that it goes on; else one that nobody knows."""
    last = book.last_seed()
    return wanted if wanted is not None else last if last is not None else secrets.randbits(32)


def _kept_seed(book: Gradebook, where: str) -> int:
    seed = book.last_seed()
    if seed is None:
        raise RuntimeError(f"nothing has been graded in {shown(where)} yet")
    return seed


@contextmanager
def _problems_told() -> Iterator[None]:
    try:
        yield
    except (GradebookError, ExecutorError, AssetError, ValueError) as error:
        raise RuntimeError(str(error)) from error
    except SQLAlchemyError as error:  # the disk is full, the server gone, or another run writes without end
        said = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise RuntimeError(f"the gradebook fails: {said}. What was done before is kept.") from error


@contextmanager
def _line() -> Iterator[Callable[[Progress], None]]:
    """A line that tells how far a run is: in a terminal it moves, elsewhere one is written now and then."""
    if not sys.stderr.isatty():
        last = 0.0

        def write(progress: Progress) -> None:
            nonlocal last
            if progress.done == progress.total or progress.seconds - last > _LINE_SECONDS:
                last = progress.seconds
                typer.echo(_words(progress), err=True)

        yield write
        return
    with Bars(BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda p: bars.update(task, completed=p.done, total=p.total, description=_words(p))


def _words(progress: Progress) -> str:
    words = f"{progress.done} of {progress.total} jobs"
    if progress.failed:
        words += f", {progress.failed} could not be judged"
    if progress.left and progress.done < progress.total:
        minutes, seconds = divmod(round(progress.left), 60)
        words += f", about {minutes} min {seconds} s left" if minutes else f", about {seconds} s left"
    return words
