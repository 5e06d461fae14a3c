"""What stands beside the thresholds of hour 4, measured: `python benchmarks/hour4_thresholds.py [runs]`.

Once as it is, and once with another program on one of the cores (`python -c "while 1: pass"`).
"""

import itertools
import os
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp()
from deepdive.assets import checkpoint, sample_reviews, use_offline

use_offline()
import datasets  # noqa: E402
import numpy as np  # noqa: E402

from checks import test_hour4_datasets as checks  # noqa: E402
from checks.given import hour4_datasets as handed  # noqa: E402
from checks.mistakes import hour4_datasets as wrong  # noqa: E402
from deepdive import measure  # noqa: E402
from solutions import hour4_datasets as right  # noqa: E402
from tests.alternatives import hour4_datasets as other  # noqa: E402

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
datasets.disable_progress_bars()


def show(what, values):
    print(f"{what:45} {min(values):8.3g} to {max(values):8.3g}  ({len(values)} runs)", flush=True)


def padding():
    batchers = [right.bucket_batches, other.sorted_as_a_whole, other.pooled_by_torch, wrong.left_the_pools_sorted]
    for batcher in [*batchers, wrong.took_small_pools, wrong.ignored_the_lengths]:
        wastes, rising = [], []
        for seed in range(RUNS):
            lengths = checks._real_lengths(np.random.default_rng(seed))
            batches = batcher(lengths, 16, seed)
            longest = [max(lengths[index] for index in batch) for batch in batches]
            positions = sum(len(batch) * long for batch, long in zip(batches, longest, strict=True))
            wastes.append(1 - sum(lengths) / positions)
            rising.append(sum(a < b for a, b in itertools.pairwise(longest[:-1])) / (len(longest) - 2))
        show(f"padding, {batcher.__name__}", wastes)
        show(f"share rising, {batcher.__name__}", rising)


def problems():
    def a_few_signs(dataset):
        signs = re.compile("Ã.|â€|Â|\ufffd")
        return wrong._where(dataset, "mojibake", lambda text: bool(signs.search(text)))

    finders = [right.find_problems, other.found_by_patterns, a_few_signs, wrong.looked_for_a_tilde]
    finders += [wrong.reported_everything_but_ascii, wrong.decoded_the_whole_text, wrong.reported_labels_of_anything]
    finders += [wrong.reported_every_label, wrong.took_similar_texts_for_copies, wrong.reported_the_first_copy_too]
    finders += [wrong.knew_one_separator, wrong.knew_names_only, wrong.found_only_labels_above]
    for finder in finders:
        worst = []
        for seed in range(RUNS):
            columns, planted = checks.poisoned(np.random.default_rng(seed))
            found = finder(handed.dataset_of(columns))
            measured = [measure_of(found, planted, kind) for kind in checks.KINDS for measure_of in MEASURES]
            worst.append(min(measured))
        show(f"least precision or recall, {finder.__name__}", worst)


MEASURES = (checks.recall, checks.precision)


def memory():
    texts, _ = sample_reviews(100, seed=2)
    small, large = (handed.large_parquet(f"{groups}.parquet", texts, groups) for groups in (1, 80))
    readers = [right.stream_reviews, other.streamed_by_hand, wrong.loaded_the_whole_file]
    for reader in [*readers, wrong.listed_the_whole_stream]:
        reader(small, 1)
        limits = []
        for _ in range(RUNS):
            limit = next(
                mb for mb in (10, 20, 40, 75, 100, 150, 200, 400) if handed.stays_below(reader, large, 50, mb)
            )
            limits.append(limit)
        show(f"MB that suffice, {reader.__name__}", limits)


def speed():
    tokenizer = handed.tokenizer_of(checkpoint("distilbert-base-uncased"))
    texts, labels = sample_reviews(400, seed=1)
    rng = np.random.default_rng(0)

    def fresh_inputs():
        rows = rng.choice(len(texts), size=24, replace=False).tolist()
        columns = {"text": [texts[row] for row in rows], "label": [labels[row] for row in rows]}
        return [(handed.dataset_of(columns, checks.CLASSES), tokenizer, 256)]

    def word_by_word(dataset, tokenizer, max_length):
        return [[tokenizer.tokenize(word) for word in text.split()] for text in dataset["text"][:]]

    def row_by_row(dataset, tokenizer, max_length):
        return [len(tokenizer(row["text"])["input_ids"]) for row in dataset]

    for function in (right.length_report, other.report_by_map, row_by_row, word_by_word):
        ratios = []
        for _ in range(RUNS):
            timed = measure.timed(function)
            found = measure.speedup(timed, checks.row_by_row_in_python, fresh_inputs, 2, lambda a, b: None)
            ratios.append(found.ratio)
        show(f"speed, {function.__name__}", ratios)


if __name__ == "__main__":
    for part in (padding, problems, memory, speed):
        if len(sys.argv) < 3 or part.__name__ in sys.argv[2:]:
            part()
