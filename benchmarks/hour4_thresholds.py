"""What stands beside the thresholds of hour 4, measured.

    python benchmarks/hour4_thresholds.py 20                           # on an idle machine
    python benchmarks/hour4_thresholds.py 20 memory speeds --busy

`padding`, `order` and `problems` depend on the seeds alone.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp()
from deepdive.assets import sample_reviews, use_offline

use_offline()
import datasets  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.spreads import Row, print_spreads, speedups  # noqa: E402
from checks import test_hour4_datasets as checks  # noqa: E402
from checks.given import hour4_datasets as handed  # noqa: E402
from checks.mistakes import hour4_datasets as wrong  # noqa: E402
from solutions import hour4_datasets as right  # noqa: E402
from tests.alternatives import hour4_datasets as other  # noqa: E402

datasets.disable_progress_bars()

BATCHERS = (
    right.bucket_batches,
    other.sorted_as_a_whole,
    other.pooled_by_torch,
    wrong.left_the_pools_sorted,
    wrong.took_small_pools,
    wrong.ignored_the_lengths,
)


def padding(runs: int) -> Iterable[Row]:
    """The share of padding in all positions, batches of 16 of 1,000 reviews."""
    for batcher in BATCHERS:
        shares = []
        for seed in range(runs):
            lengths = checks._real_lengths(np.random.default_rng(seed))
            batches = batcher(lengths, 16, seed)
            positions = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
            shares.append(1 - sum(lengths) / positions)
        yield "bucket_batches: padding", batcher.__name__, shares


def order(runs: int) -> Iterable[Row]:
    """The share of batches that are followed by a longer one."""
    for batcher in BATCHERS:
        shares = []
        for seed in range(runs):
            lengths = checks._real_lengths(np.random.default_rng(seed))
            longest = [max(lengths[index] for index in batch) for batch in batcher(lengths, 16, seed)[:-1]]
            shares.append(sum(a < b for a, b in itertools.pairwise(longest)) / (len(longest) - 1))
        yield "bucket_batches: followed by a longer one", batcher.__name__, shares


def problems(runs: int) -> Iterable[Row]:
    """The least recall or precision of all kinds of problems."""

    def a_few_signs(dataset: Any) -> list[tuple[str, int]]:
        signs = re.compile("Ã.|â€|Â|\ufffd")
        return wrong._where(dataset, "mojibake", lambda text: bool(signs.search(text)))

    finders = [right.find_problems, other.found_by_patterns, a_few_signs, wrong.looked_for_a_tilde]
    finders += [wrong.reported_everything_but_ascii, wrong.decoded_the_whole_text, wrong.reported_labels_of_anything]
    finders += [wrong.reported_every_label, wrong.took_similar_texts_for_copies, wrong.reported_the_first_copy_too]
    finders += [wrong.knew_one_separator, wrong.knew_names_only, wrong.found_only_labels_above]
    for finder in finders:
        worst = []
        for seed in range(runs):
            columns, planted = checks.poisoned(np.random.default_rng(seed))
            found = finder(handed.dataset_of(columns))
            measured = [of(found, planted, kind) for kind in checks.KINDS for of in (checks.recall, checks.precision)]
            worst.append(min(measured))
        yield "find_problems: least precision or recall", finder.__name__, worst


def memory(runs: int) -> Iterable[Row]:
    """Megabytes held at the peak, to read 50 rows of 106 MB of text."""
    texts, _ = sample_reviews(100, seed=2)
    small, large = (handed.large_parquet(f"{groups}.parquet", texts, groups) for groups in (1, 80))
    readers = [right.stream_reviews, other.streamed_by_hand, wrong.loaded_the_whole_file]
    for reader in [*readers, wrong.listed_the_whole_stream]:
        reader(small, 1)  # imports are not counted
        peaks = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as cache:  # what was loaded before is not loaded again
                datasets.config.HF_DATASETS_CACHE = Path(cache)
                peaks.append(handed.peak_of(reader, large, 50)[1])
        yield "stream_reviews: MB at the peak", reader.__name__, peaks


def speeds(runs: int) -> Iterable[Row]:
    """How many times faster than the tokenizer that is written in Python."""

    def report(lengths: list[int], max_length: int) -> dict[str, float]:
        cuts = quantiles(lengths, n=100, method="inclusive")
        share = sum(length > max_length for length in lengths) / len(lengths)
        return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "truncated_share": share}

    def text_by_text(dataset: Any, tokenizer: Any, max_length: int) -> dict[str, float]:
        return report([len(tokenizer(row["text"])["input_ids"]) for row in dataset], max_length)

    def word_by_word(dataset: Any, tokenizer: Any, max_length: int) -> dict[str, float]:
        cut = [[tokenizer.tokenize(word) for word in text.split(" ")] for text in dataset["text"][:]]
        return report([2 + sum(map(len, pieces)) for pieces in cut], max_length)

    answers = {
        "solution": right.length_report,
        "by map": other.report_by_map,
        "text by text": text_by_text,
        "wrong: word by word": word_by_word,
    }
    return speedups(checks.test_lets_the_fast_tokenizer_work, "length_report", answers, runs)


if __name__ == "__main__":
    print_spreads(padding, order, problems, memory, speeds)
