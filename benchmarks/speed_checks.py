"""Do the speed checks keep their word on a noisy machine?

Runs every check of the given hours that uses `faster_than` many times, on the solution and on an answer as slow as
its baseline, with the machine idle and with every core kept busy by another process, and counts the verdicts:

    python benchmarks/speed_checks.py 200 1
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive import measure
from deepdive.answers import Answer
from deepdive.course import Course, Exercise, load_course
from deepdive.diagnose import right_answer
from deepdive.judge import judge
from deepdive.proof import CheckFunction, checks_of

ROOT = Path(__file__).parent.parent


def main(runs: int, hours: set[int]) -> None:
    course = load_course(ROOT)
    print("| check | machine | answer | verdicts | ratio: lowest, median, highest | pairs: median, most, spoilt |")
    print("| --- | --- | --- | --- | --- | --- |")
    for exercise in (each for each in course.exercises if each.hour in hours):
        for check, seconds in checks_of(course, exercise):
            if "faster_than" in inspect.getsource(check):
                for busy in (False, True):
                    with busy_cores() if busy else idle():
                        row(course, exercise, check, seconds, runs, "busy" if busy else "idle")


def row(course: Course, exercise: Exercise, check: CheckFunction, seconds: float, runs: int, machine: str) -> None:
    for name in ("solution", "as slow as the baseline"):
        seen: list[measure.Speedup] = []
        verdicts: Counter[str] = Counter()
        for seed in range(runs):
            with watched(seen, slow=name != "solution"):
                answer = Answer(exercise, right_answer(course, exercise), seconds)
                verdicts[str(judge(course, exercise, check, answer, seed=seed).state)] += 1
        ratios, pairs = [s.ratio for s in seen], [s.pairs for s in seen]
        words = ", ".join(f"{count} {state}" for state, count in verdicts.items())
        span = f"{min(ratios):.1f}, {median(ratios):.1f}, {max(ratios):.1f}"
        spoilt = sum((p - min(pairs)) / 2 for p in pairs) / sum(pairs)  # each vote the wrong way costs one more pair
        tried = f"{median(pairs):g}, {max(pairs)}, {spoilt:.1%}"
        print(f"| {exercise.name} | {machine} | {name} | {words} | {span} | {tried} |", flush=True)


@contextmanager
def watched(seen: list[measure.Speedup], *, slow: bool) -> Iterator[None]:
    """Note what every speed check measures; with `slow`, let the baseline itself stand for the answer."""
    original = measure.speedup

    def speedup(answer: Any, baseline: Any, *rest: Any, **options: Any) -> measure.Speedup:
        seen.append(original(measure.timed(baseline) if slow else answer, baseline, *rest, **options))
        return seen[-1]

    measure.speedup = speedup
    try:
        yield
    finally:
        measure.speedup = original


@contextmanager
def idle() -> Iterator[None]:
    yield


@contextmanager
def busy_cores(count: int = os.cpu_count() or 1) -> Iterator[None]:
    """So many cores kept busy, each by one process that never rests."""
    hogs = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


def spin() -> None:
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    runs, *hours = map(int, sys.argv[1:]) if sys.argv[1:] else (200, 1)
    main(runs, set(hours))
