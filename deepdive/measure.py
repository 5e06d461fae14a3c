"""Speed ratios that hold on a noisy machine.

A wall-clock time says as much about the machine's other work as about the code. So a speed check asks one
question only, "is the answer at least r times as fast as the baseline?", and asks it by pairs: baseline and
answer run one right after the other on the same fresh inputs, in turn first and second. Each pair votes yes
or no, and Wald's sequential probability ratio test (A. Wald, Sequential Tests of Statistical Hypotheses,
1945) says when the votes suffice. When they do not within the time allowed, the decision is `UNDECIDED`.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

FASTER, SLOWER, UNDECIDED = "faster", "slower", "undecided"

# The two hypotheses: of an answer that is fast enough, at least 4 pairs in 5 say so; of one that is not, at
# most 1 in 5. A pair is spoilt when something else ran during one half of it. With both cores of a two-core
# machine kept busy, 8 pairs in 1,000 were (benchmarks/README.md), so 1 in 5 leaves room.
P_FAST, P_SLOW = 0.8, 0.2
# Chance of a wrong word either way. ln(0.9999 / 0.0001) / ln(0.8 / 0.2) = 6.6: seven pairs that agree decide.
ERROR_RATE = 1e-4
# However long they take, so that an answer cannot be so slow that its slowness stays undecided.
LEAST_PAIRS = 7
MAX_PAIRS = 60
MAX_SECONDS = 4.0

Batch = list[tuple[Any, ...]]  # the arguments of one or more calls that are timed together
Timed = Callable[[Batch], tuple[float, list[Any]]]


@dataclass(frozen=True)
class Speedup:
    """How much faster the answer was: the median ratio of times over all pairs, and what it comes to."""

    decision: str
    ratio: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.ratio:.2g}× its speed (median of {self.pairs} pairs)"


def timed(function: Callable[..., Any]) -> Timed:
    """`function`, called for a whole batch: wall-clock seconds, and what it returned each time."""

    def call(batch: Batch) -> tuple[float, list[Any]]:
        start = perf_counter()
        results = [function(*arguments) for arguments in batch]
        return perf_counter() - start, results

    return call


def speedup(
    answer: Timed,
    baseline: Callable[..., Any],
    inputs: Callable[[], Batch],
    at_least: float,
    compare: Callable[[Any, Any], None],
    *,
    max_pairs: int = MAX_PAIRS,
    max_seconds: float = MAX_SECONDS,
) -> Speedup:
    """Decide whether `answer` is `at_least` times as fast as `baseline`.

    Both run on one thread: a matrix product that waits for its second thread while another program has the core
    takes 22 ms where it should take 0.1.

    Args:
        answer: called with a batch of fresh inputs, gives `(seconds, results)`; whoever owns the clock measures.
        baseline: the trusted slow way.
        inputs: makes the batch for one pair.
        at_least: the ratio of times to beat.
        compare: called with the baseline's and the answer's result of every call, outside the clock; raises when
            they disagree, so that nothing is gained by being fast and wrong.
        max_pairs: give up after so many pairs.
        max_seconds: give up after so many seconds, but not before `LEAST_PAIRS`.
    """
    slow = timed(baseline)
    step = math.log(P_FAST / P_SLOW)
    bound = math.log((1 - ERROR_RATE) / ERROR_RATE)
    evidence, ratios, began = 0.0, list[float](), perf_counter()
    collecting = gc.isenabled()
    gc.disable()
    try:
        _pair(answer, slow, inputs(), compare, answer_first=False)  # caches, imports and page faults: not counted
        with threadpool_limits(1):
            while abs(evidence) < bound and len(ratios) < max_pairs:
                if len(ratios) >= LEAST_PAIRS and perf_counter() - began > max_seconds:
                    break
                ratio = _pair(answer, slow, inputs(), compare, answer_first=len(ratios) % 2 == 0)
                ratios.append(ratio)
                evidence += step if ratio >= at_least else -step
    finally:
        if collecting:
            gc.enable()
    decision = FASTER if evidence >= bound else SLOWER if evidence <= -bound else UNDECIDED
    return Speedup(decision, median(ratios) if ratios else math.nan, len(ratios))


def _pair(
    answer: Timed, slow: Timed, batch: Batch, compare: Callable[[Any, Any], None], *, answer_first: bool
) -> float:
    """One interleaved pair; how many times the answer's time the baseline took."""
    if answer_first:
        mine, got = answer(batch)
        reference, expected = slow(batch)
    else:
        reference, expected = slow(batch)
        mine, got = answer(batch)
    for right, result in zip(expected, got, strict=True):
        compare(right, result)
    return reference / max(mine, 1e-9)
