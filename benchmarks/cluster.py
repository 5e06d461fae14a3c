"""Two workers of a cluster against one, on this machine, by `deepdive grade --cluster` on right submissions.

A scheduler and the workers are processes of their own, of one thread each. Every cluster first grades a few
submissions, which has its workers import what they need, and is then timed on others. One, two, one, two: the median
of each counts, and what the gradebook holds is the same every time.

    python benchmarks/cluster.py 4 1 2 3 4      # so many submissions, of these hours
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import distributed

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.course import load_course
from deepdive.grading.classrun import marks
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.jobs import Keys
from deepdive.grading.policy import Policy

ROOT = Path(__file__).parent.parent
ROUNDS = 2
SEED = 0


def main(count: int, numbers: list[int]) -> None:
    course = load_course(ROOT)
    files = [hour.file_name for hour in course.hours if hour.number in numbers]
    print(f"load {os.getloadavg()[0]:.1f} at the start; {count} submissions of {len(files)} files each")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    earned: set[tuple[int, ...]] = set()
    for _ in range(ROUNDS):
        for workers in (1, 2):
            with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), workers) as address:
                place = Path(folder)
                hand_in(place / "warm", [f"warm{number}" for number in range(2 * workers)], files)
                hand_in(place / "class", [f"s{number:02}" for number in range(count)], files)
                grade(place / "warm", place / "warm.db", address, numbers)
                seconds[workers].append(grade(place / "class", place / "class.db", address, numbers))
                earned.add(points(place / "class.db"))
                print(f"{workers}: {seconds[workers][-1]:.1f} s", flush=True)
    one, two = median(seconds[1]), median(seconds[2])
    print(f"one worker {one:.1f} s, two {two:.1f} s: {one / two:.2f} times as fast")
    print("the same points every time" if len(earned) == 1 else f"not the same points: {earned}")


def hand_in(place: Path, students: list[str], files: list[str]) -> None:
    for student in students:
        (place / student).mkdir(parents=True)
        for name in files:
            right = (ROOT / "solutions" / name).read_text(encoding="utf-8")
            (place / student / name).write_text(f"{right}\n# {student}\n", encoding="utf-8")


def grade(place: Path, book: Path, address: str, numbers: list[int]) -> float:
    began = monotonic()
    command = [sys.executable, "-m", "deepdive.cli", "grade", str(place), "--gradebook", str(book)]
    command += ["--seed", str(SEED), "--cluster", address, *(f"--hour={number}" for number in numbers)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return monotonic() - began


def points(where: Path) -> tuple[int, ...]:
    """What every student earned."""
    course = load_course(ROOT)
    with open_gradebook(where) as book:
        return tuple(int(mark.raw) for mark in marks(book, course, Keys(course, SEED), Policy(), whole=False))


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler with so many workers; its address."""
    told = folder / "scheduler.json"
    at = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told))
    with ExitStack() as ends:

        def start(what: str, *options: str) -> None:
            child = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", *at, *options],
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            ends.callback(child.wait)
            ends.callback(child.terminate)

        start("scheduler", "--port", "0")
        while not told.exists():
            sleep(0.1)
        for _ in range(workers):
            start("worker", "--nthreads", "1", "--no-nanny")
        with distributed.Client(scheduler_file=str(told), set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)
            address = client.scheduler.address
        yield str(address)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    main(int(sys.argv[1]), [int(number) for number in sys.argv[2:]])
