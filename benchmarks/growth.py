"""What a submission costs in a class of 100, of 1,000 and of 10,000, and what going on after a kill costs.

Each submission is a file with one exercise, and unlike any other by a comment. Half of the class is judged, the
command is killed, and run again. `each` is the time between one verdict and the next, without what comes before the
first of a run.

    python benchmarks/growth.py 100 1000 10000
"""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.course import load_course
from deepdive.grading.classrun import marks, to_do
from deepdive.grading.executors import workers_that_fit
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.jobs import Keys
from deepdive.grading.policy import Policy

ROOT = Path(__file__).parent.parent
CHECKS = sum(len(exercise.checks) for exercise in load_course(ROOT).hour(1).exercises)
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
        "processor, each",
        "to the first verdict",
        "after the kill",
        "coordinator, most",
    )
    queries = ("one student's mark", "what is left to do", "everybody's points", "all that is known")
    print(f"| {' | '.join((*columns, *queries))} |")
    print(f"|{' --- |' * len((*columns, *queries))}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(row(Path(folder), size, workers), flush=True)


def row(folder: Path, size: int, workers: int) -> str:
    for number in range(size):
        place = folder / "class" / f"s{number:05}"
        place.mkdir(parents=True)
        (place / "hour1_attention.py").write_text(ANSWER.format(number=number))
    book = folder / "class.db"
    first = run(folder / "class", book, workers, stop_at=size // 2)
    second = run(folder / "class", book, workers)
    queries = " | ".join(f"{seconds:.2f} s" for seconds in asked(book))
    each = 1000 * (first.seconds + second.seconds) / (first.files + second.files)
    most = max(first.memory, second.memory) >> 20
    times = f"{each:.1f} ms | {first.until_first:.1f} s | {second.until_first:.1f} s"
    return f"| {size:,} | {times} | {most} MiB | {queries} |"


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


def timed(question: Callable[[], object]) -> float:
    began = monotonic()
    question()
    return monotonic() - began


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--workers", type=int, default=workers_that_fit({1}))
    told = parser.parse_args()
    main(told.sizes, told.workers)
