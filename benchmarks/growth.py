"""What a submission costs in a class of 100, of 1,000 and of 10,000, and what going on after a kill costs.

Each submission is a file with one exercise, and unlike any other by a comment. Half of the class is judged, the
command is killed, and run again.

    python benchmarks/growth.py 100 1000 10000
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.course import load_course
from deepdive.grading.classrun import marks, to_do
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.jobs import Keys
from deepdive.grading.policy import Policy

ROOT = Path(__file__).parent.parent
ANSWER = """import numpy as np


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# {number}
"""


def main(sizes: list[int]) -> None:
    columns = ("submissions", "each", "after the kill, to the first verdict", "coordinator, most")
    queries = ("one student's mark", "what is left to do", "all marks")
    print(f"| {' | '.join((*columns, *queries))} |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(row(Path(folder), size), flush=True)


def row(folder: Path, size: int) -> str:
    for number in range(size):
        place = folder / "class" / f"s{number:05}"
        place.mkdir(parents=True)
        (place / "hour1_attention.py").write_text(ANSWER.format(number=number))
    book = folder / "class.db"
    first, peak, _ = run(folder / "class", book, stop_at=size // 2)
    second, peak_again, until_first = run(folder / "class", book)
    queries = " | ".join(f"{seconds:.2f} s" for seconds in asked(book))
    each = 1000 * (first + second) / size
    return f"| {size:,} | {each:.1f} ms | {until_first:.1f} s | {max(peak, peak_again) >> 20} MiB | {queries} |"


def run(place: Path, book: Path, stop_at: int | None = None) -> tuple[float, int, float]:
    """Seconds, the coordinator's greatest memory in bytes, and seconds to the first new verdict."""
    before, began, peak, first = judged(book), monotonic(), 0, 0.0
    command = [sys.executable, "-m", "deepdive.cli", "grade", str(place), "--gradebook", str(book), "--hour", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        while child.poll() is None:
            peak = max(peak, memory(child.pid))
            done = judged(book)
            first = first or (monotonic() - began if done > before else 0.0)
            if stop_at is not None and done >= stop_at:
                child.kill()
                break
            sleep(0.1)
    return monotonic() - began, peak, first


def memory(pid: int) -> int:
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def judged(book: Path) -> int:
    """How many files have a verdict."""
    if not book.exists():
        return 0
    engine = sa.create_engine(f"sqlite:///{book}")
    try:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(DISTINCT source) FROM verdicts").scalar() or 0)
    except sa.exc.OperationalError:  # it is being made
        return 0
    finally:
        engine.dispose()


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
            timed(lambda: marks(book, course, keys, Policy())),
        ]


def timed(question: Callable[[], object]) -> float:
    began = monotonic()
    question()
    return monotonic() - began


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    main([int(size) for size in sys.argv[1:]] or [100, 1000, 10_000])
