"""What the scripts of the thresholds share: how they are called, and the table they print.

python benchmarks/hour3_thresholds.py 20                  # every threshold, so many runs of each answer
python benchmarks/hour3_thresholds.py 20 speeds --busy    # those of one part, every core kept busy meanwhile
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.speed_checks import busy_cores, idle, watched
from deepdive import measure
from deepdive.answers import Answer
from deepdive.course import load_course
from deepdive.expect import Undecided, WrongAnswer
from deepdive.judge import rng_for
from deepdive.proof import CheckFunction

ROOT = Path(__file__).parent.parent
Row = tuple[str, str, list[float]]  # what was measured, of which answer, run by run
Part = Callable[[int], Iterable[Row]]  # given the number of runs


def print_spreads(*parts: Part) -> None:
    """Measure what the command line asks for, and print each row as it comes."""
    names = {part.__name__: part for part in parts}
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=int, nargs="?", default=20)
    parser.add_argument("parts", nargs="*", choices=[[], *names], metavar="part", help=", ".join(names))
    parser.add_argument("--busy", action="store_true", help="keep every core busy by a process that never rests")
    asked = parser.parse_args()
    print("| what | answer | runs | least | median | greatest | load |")
    print("| --- | --- | --: | --: | --: | --: | --: |")
    with busy_cores() if asked.busy else idle():
        for name in asked.parts or names:
            for what, answer, values in names[name](asked.runs):
                span = f"{min(values):.3g} | {median(values):.3g} | {max(values):.3g}"
                load = os.getloadavg()[0]
                print(f"| {what} | {answer} | {len(values)} | {span} | {load:.1f} |", flush=True)


def speedups(check: CheckFunction, exercise: str, answers: dict[str, Callable[..., Any]], runs: int) -> Iterable[Row]:
    """By how much answers, all of them right but for their speed, beat the baseline of a check."""
    of = load_course(ROOT).exercise(exercise)
    for name, function in answers.items():
        seen: list[measure.Speedup] = []
        for seed in range(runs):
            answer = Answer(of, function)
            supplies = {"answer": answer, "given": answer.given, "rng": rng_for(seed, of, check.__name__)}
            with watched(seen, slow=False), suppress(WrongAnswer, Undecided):
                check(**{each: supplies[each] for each in inspect.signature(check).parameters})
        yield f"{exercise}: speed", name, [speedup.ratio for speedup in seen]
