"""The one threshold of hour 2: how much faster is `gpt2_tokenize` for remembering words?

python benchmarks/hour2_thresholds.py 20             # on an idle machine
python benchmarks/hour2_thresholds.py 20 --busy
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.spreads import Row, print_spreads, speedups
from checks import test_hour2_tokenizers as checks
from solutions import hour2_tokenizers as right
from tests.alternatives import hour2_tokenizers as others


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
    "solution": right.gpt2_tokenize,
    "functools.cache": others.gpt2_with_cache,
    "all different words first, a heap": others.gpt2_by_different_words,
    "an alphabet for every different word": alphabet_made_for_every_different_word,
    "wrong: no memory, a heap": _without_memory(others.merges_by_a_heap),
    "wrong: no memory, GPT-2's own loop": _without_memory(others.merges_as_gpt2_does),
    "wrong: no memory, the baseline": _without_memory(right.apply_bpe),
}


def speeds(runs: int) -> Iterable[Row]:
    """How many times faster than merging every word anew."""
    return speedups(checks.test_beats_merging_every_word_anew, "gpt2_tokenize", ANSWERS, runs)


if __name__ == "__main__":
    print_spreads(speeds)
