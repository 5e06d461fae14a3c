"""The one threshold of hour 2: how much faster is `gpt2_tokenize` for remembering words?

Runs the speed check many times on the solution, on other right answers and on answers that remember nothing, with the
machine otherwise idle, with one core kept busy and with all of them, and prints the ratios:

    python benchmarks/hour2_thresholds.py 20
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.speed_checks import busy_cores  # noqa: E402
from checks import test_hour2_tokenizers as checks  # noqa: E402
from deepdive import measure  # noqa: E402
from deepdive.answers import Answer  # noqa: E402
from deepdive.course import load_course  # noqa: E402
from deepdive.judge import judge  # noqa: E402
from solutions import hour2_tokenizers as right  # noqa: E402
from tests.alternatives import hour2_tokenizers as others  # noqa: E402


def alphabet_made_for_every_different_word(text: str, ranks: Any) -> list[str]:
    seen: dict[str, list[str]] = {}
    tokens = []
    for word in right.GPT2_WORDS.findall(text):
        if word not in seen:
            alphabet = right.byte_alphabet()
            seen[word] = right.apply_bpe([alphabet[byte] for byte in word.encode()], ranks)
        tokens += seen[word]
    return tokens


def _without_memory(apply_bpe: Callable[..., list[str]]) -> Callable[..., list[str]]:
    def tokenize(text: str, ranks: Any) -> list[str]:
        alphabet = right.byte_alphabet()
        written = ([alphabet[byte] for byte in word.encode()] for word in right.GPT2_WORDS.findall(text))
        return [token for symbols in written for token in apply_bpe(symbols, ranks)]

    return tokenize


ANSWERS: dict[str, Callable[..., list[str]]] = {
    "the solution": right.gpt2_tokenize,
    "functools.cache": others.gpt2_with_cache,
    "all different words first, a heap": others.gpt2_by_different_words,
    "an alphabet for every different word": alphabet_made_for_every_different_word,
    "no memory, a heap": _without_memory(others.merges_by_a_heap),
    "no memory, GPT-2's own loop": _without_memory(others.merges_as_gpt2_does),
    "no memory, the baseline": _without_memory(right.apply_bpe),
}


def main(runs: int) -> None:
    exercise = next(e for e in load_course(ROOT).exercises if e.name == "gpt2_tokenize")
    course = load_course(ROOT)
    cores = os.cpu_count() or 1
    print("| answer | busy cores | load before | verdicts | ratio: lowest, median, highest |")
    print("| --- | --: | --: | --- | --- |")
    for name, function in ANSWERS.items():
        for busy in (0, 1, cores):
            load = os.getloadavg()[0]
            seen: list[measure.Speedup] = []
            verdicts: Counter[str] = Counter()
            with busy_cores(busy), watched(seen):
                for seed in range(runs):
                    check, answer = checks.test_beats_merging_every_word_anew, Answer(exercise, function)
                    verdicts[str(judge(course, exercise, check, answer, seed=seed).state)] += 1
            ratios = [s.ratio for s in seen]
            words = ", ".join(f"{count} {state}" for state, count in verdicts.items())
            span = f"{min(ratios):.1f}, {median(ratios):.1f}, {max(ratios):.1f}"
            print(f"| {name} | {busy} | {load:.1f} | {words} | {span} |", flush=True)


@contextmanager
def watched(seen: list[measure.Speedup]) -> Iterator[None]:
    original = measure.speedup

    def speedup(*arguments: Any, **options: Any) -> measure.Speedup:
        seen.append(original(*arguments, **options))
        return seen[-1]

    measure.speedup = speedup
    try:
        yield
    finally:
        measure.speedup = original


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
