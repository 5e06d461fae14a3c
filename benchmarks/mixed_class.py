"""A class with hostile submissions mixed in: is every honest mark what it is without them?

The class of `benchmarks/classes.py` is graded by the real command; then its honest submissions alone, by the same
seed and into a gradebook of their own. Every mark is compared, and every check. A check that measures speed may stay
undecided on a busy machine, which costs no points; such differences are told, and are no other mark.

    python benchmarks/mixed_class.py 200 40
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.classes import write
from deepdive.course import load_course
from deepdive.grading.classrun import marks
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.jobs import Keys
from deepdive.grading.marks import Mark
from deepdive.grading.policy import Policy
from deepdive.verdict import State

ROOT = Path(__file__).parent.parent
SEED = 20_261


def main(size: int, hostile: int, seed: int, workers: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mixed, alone = Path(folder) / "mixed", Path(folder) / "alone"
        write(mixed, size, hostile, seed)
        with (Path(folder) / "mixed-who.csv").open(newline="") as file:
            who = {row["id"]: row["what"] for row in csv.DictReader(file)}
        honest = [student for student, what in who.items() if not what.startswith("hostile")]
        alone.mkdir()
        with_them = graded(mixed, workers)
        for student in honest:
            (mixed / student).rename(alone / student)
        without = graded(alone, workers)
    kinds = Counter(what.partition(" ")[0] for what in who.values())
    print(", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    same = [student for student in honest if points(with_them[student]) == points(without[student])]
    print(f"{len(same)} of {len(honest)} honest marks are the same without the hostile ones")
    for student in honest:
        for line in differences(with_them[student], without[student]):
            print(f"  {student}, {who[student]}: {line}")


def points(mark: Mark) -> list[tuple[str, int]]:
    return [(outcome.exercise, outcome.earned) for outcome in mark.record.outcomes]


def differences(mixed: Mark, alone: Mark) -> Iterator[str]:
    """The checks that ended differently, in words."""
    before = {(verdict.hour, verdict.check): verdict.state for verdict in alone.record.verdicts}
    for verdict in mixed.record.verdicts:
        if (state := before[verdict.hour, verdict.check]) is not verdict.state:
            told = f"{verdict.exercise} · {verdict.check} {verdict.state}, alone {state}"
            yield told + (f" ({verdict.got})" if verdict.state is not State.PASSED and verdict.got else "")


def graded(place: Path, workers: int | None) -> dict[str, Mark]:
    """Every mark, by student, after the real command has graded the class."""
    book, began, load = place.with_suffix(".db"), monotonic(), os.getloadavg()[0]
    command = [sys.executable, "-m", "deepdive.cli", "grade", str(place), "--gradebook", str(book)]
    command += ["--hour", "1", "--seed", str(SEED), *(["--workers", str(workers)] if workers else [])]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    seconds, count = monotonic() - began, len(list(place.iterdir()))
    print(
        f"{place.name}: {count} submissions in {seconds:.0f} s, load {load:.1f} at the start, exit {done.returncode}"
    )
    for line in done.stdout.splitlines():
        print(f"  {line}", flush=True)
    course = load_course(ROOT)
    with open_gradebook(book) as opened:
        return {mark.student.id: mark for mark in marks(opened, course, Keys(course, SEED), Policy())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, nargs="?", default=200)
    parser.add_argument("hostile", type=int, nargs="?", default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the class")
    parser.add_argument("--workers", type=int)
    told = parser.parse_args()
    main(told.size, told.hostile, told.seed, told.workers)
