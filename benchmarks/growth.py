"""What a submission costs in a class of 100, of 1,000 and of 10,000, and what going on after a kill costs.

Each submission is a file with one exercise, and unlike any other by a comment. Half of the class is judged, the
command is killed, and run again. `each` is the time between one verdict and the next, without what comes before the
first of a run.

    python benchmarks/growth.py 100 1000 10000

With `--pretend` nothing is judged, so that a minute will do: every check is said to be still to do. What is left is
what the gradebook and the process that writes it cost, in a process of its own for each size.

    python benchmarks/growth.py --pretend 100 1000 10000
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.course import load_course
from deepdive.grading.classlist import Roster
from deepdive.grading.classrun import judge_all, marks, take_in, to_do
from deepdive.grading.executors import workers_that_fit
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.jobs import Job, Keys
from deepdive.grading.policy import Policy
from deepdive.grading.work import Done
from deepdive.verdict import State, Verdict

ROOT = Path(__file__).parent.parent
CHECKS = sum(len(exercise.checks) for exercise in load_course(ROOT).hour(1).exercises)
QUERIES = ("one student's mark", "what is left to do", "everybody's points", "all that is known")
ANSWER = """import numpy as np


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# {number}
"""


@dataclass(frozen=True)
class Run:
    """One run of the command, until its end or until it was killed.

    Args:
        seconds: from its first verdict to its last.
        until_first: seconds from its start to its first verdict.
        files: that it judged.
        memory: of the coordinator, the most, in bytes.
    """

    seconds: float
    until_first: float
    files: int
    memory: int


def main(sizes: list[int], workers: int) -> None:
    print(f"{workers} processes, load {os.getloadavg()[0]:.1f} at the start")
    columns = (
        "submissions",
        "each",
        "to the first verdict",
        "after the kill",
        "coordinator, most",
    )
    print(f"| {' | '.join((*columns, *QUERIES))} |")
    print(f"|{' --- |' * len((*columns, *QUERIES))}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(row(Path(folder), size, workers), flush=True)


def hand_in(folder: Path, size: int) -> None:
    for number in range(size):
        place = folder / "class" / f"s{number:05}"
        place.mkdir(parents=True)
        (place / "hour1_attention.py").write_text(ANSWER.format(number=number))


# ── nothing is judged ───────────────────────────────────────────────────────────────────────────────────────────


class Pretending:
    """Says of every check that it is still to do."""

    tier = "none"

    def run(self, jobs: Iterable[Job]) -> Generator[Done]:
        for job in jobs:
            said = (Verdict(hour=job.hour, exercise=c.exercise, check=c.check, state=State.TODO) for c in job.checks)
            yield Done(job, tuple(zip((check.key for check in job.checks), said, strict=True)))


def pretend(sizes: list[int]) -> None:
    print(f"load {os.getloadavg()[0]:.1f} at the start")
    columns = ("submissions", "taken in, each", "kept, each", "taken in again, all", "memory, most", "on disk")
    print(f"| {' | '.join((*columns, *QUERIES))} |")
    print(f"|{' --- |' * len((*columns, *QUERIES))}")
    for size in sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            print(process.submit(pretended, size).result(), flush=True)


def pretended(size: int) -> str:
    course = load_course(ROOT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hand_in(folder, size)
        with open_gradebook(folder / "class.db") as book:
            keys = Keys(course, 0)
            taken = timed(lambda: take_in(book, course, [folder / "class"], Roster()))
            kept = timed(lambda: judge_all(book, Pretending(), keys, to_do(book, course, keys, {1})))
            again = timed(lambda: take_in(book, course, [folder / "class"], Roster()))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        disk = (folder / "class.db").stat().st_size >> 20
        costs = (
            f"{1000 * taken / size:.2f} ms | {1000 * kept / size:.2f} ms | {again:.2f} s | {memory} MiB | {disk} MiB"
        )
        return f"| {size:,} | {costs} | {told(asked(folder / 'class.db'))} |"


# ── the real command ────────────────────────────────────────────────────────────────────────────────────────────


def row(folder: Path, size: int, workers: int) -> str:
    hand_in(folder, size)
    book = folder / "class.db"
    first = run(folder / "class", book, workers, stop_at=size // 2)
    second = run(folder / "class", book, workers)
    each = 1000 * (first.seconds + second.seconds) / (first.files + second.files)
    most = max(first.memory, second.memory) >> 20
    times = f"{each:.1f} ms | {first.until_first:.1f} s | {second.until_first:.1f} s"
    return f"| {size:,} | {times} | {most} MiB | {told(asked(book))} |"


def run(place: Path, book: Path, workers: int, stop_at: int | None = None) -> Run:
    before, began, peak, until_first = judged(book), monotonic(), 0, 0.0
    command = [sys.executable, "-m", "deepdive.cli", "grade", str(place), "--gradebook", str(book), "--hour", "1"]
    with subprocess.Popen(
        [*command, "--workers", str(workers)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        last, done = began, before
        while child.poll() is None:
            peak = max(peak, memory(child.pid))
            if (now := judged(book)) > done:
                last, done = monotonic(), now
                until_first = until_first or last - began
            if stop_at is not None and done >= stop_at:
                child.kill()
                break
            sleep(0.05)
    return Run(last - began - until_first, until_first, max(1, judged(book) - before), peak)


def memory(pid: int) -> int:
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def judged(book: Path) -> int:
    """How many files have their verdicts, by the number of rows, which costs the same however many there are."""
    if not book.exists():
        return 0
    with closing(sqlite3.connect(book, timeout=30)) as connection:
        try:
            (rows,) = connection.execute("SELECT max(rowid) FROM verdicts").fetchone()
        except sqlite3.OperationalError:  # it is being made
            return 0
    return (rows or 0) // CHECKS


def asked(path: Path) -> list[float]:
    course = load_course(ROOT)
    with open_gradebook(path) as book:
        seed = book.last_seed()
        assert seed is not None
        keys = Keys(course, seed)
        keys.of(1, "")
        return [
            timed(lambda: marks(book, course, keys, Policy(), "s00007")),
            timed(lambda: to_do(book, course, keys, {1})),
            timed(lambda: marks(book, course, keys, Policy(), whole=False)),
            timed(lambda: marks(book, course, keys, Policy())),
        ]


def told(seconds: Sequence[float]) -> str:
    return " | ".join(f"{each:.2f} s" for each in seconds)


def timed(question: Callable[[], object]) -> float:
    began = monotonic()
    question()
    return monotonic() - began


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--workers", type=int, default=workers_that_fit({1}))
    parser.add_argument("--pretend", action="store_true", help="judge nothing")
    options = parser.parse_args()
    pretend(options.sizes) if options.pretend else main(options.sizes, options.workers)
