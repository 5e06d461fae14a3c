"""Where the thresholds of hour 3's checks come from: the spread of the solution and of wrong answers over many runs.

    python benchmarks/hour3_thresholds.py 20                     # on an idle machine
    python benchmarks/hour3_thresholds.py 20 speeds --busy

Only `speeds` looks at a clock; what the others print depends on the seeds alone.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch

from benchmarks.spreads import Row, print_spreads, speedups
from checks import test_hour3_models as checks
from checks.given import hour3_models as given
from checks.mistakes import hour3_models as mistakes
from deepdive.assets import checkpoint
from solutions import hour3_models as right
from tests.alternatives import hour3_models as alternatives


def tolerances(runs: int) -> Iterable[Row]:
    """The greatest difference from the expected values that right answers give, against 1e-5."""
    answers: dict[str, Callable[..., Any]] = {
        "solution": right.embed,
        "one at a time": alternatives.embedded_one_at_a_time,
        "padded to the limit": alternatives.embedded_with_padding_to_the_limit,
        "wrong: [CLS]": mistakes.took_the_cls_vector,
        "wrong: no mask for the model": mistakes.hid_the_mask_from_the_model,
    }
    for name, answer in answers.items():
        worst = []
        for seed in range(runs):
            model, tokenizer = given.encoder(seed)
            expected = checks.own_vectors(model, tokenizer, checks.TEXTS)
            worst.append(float((answer(checks.TEXTS, model, tokenizer) - expected).abs().max()))
        yield "embed, tiny model: error", name, worst
    model, tokenizer = checks.minilm()
    for name, answer in answers.items():
        if name != "padded to the limit":
            expected = checks.own_vectors(model, tokenizer, checks.MINILM_TEXTS)
            got = answer(checks.MINILM_TEXTS, model, tokenizer)
            yield "embed, MiniLM: error", name, [float((got - expected).abs().max())]


def trainings(runs: int) -> Iterable[Row]:
    """What a training comes to: accuracy, and the mean loss."""
    answers = {
        "solution": right.train_with_trainer,
        "alternative": alternatives.trained_with_argmax_ahead,
        "wrong: one epoch": mistakes.trained_for_one_epoch,
        "wrong: learning rate 5e-5": mistakes.left_the_learning_rate,
    }
    for name, train in answers.items():
        accuracies, losses, moves = [], [], []
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            (texts, labels), (others, theirs) = (checks.texts_of_both_sites(rng, n) for n in (120, 100))
            model = given.untrained(int(rng.integers(1000)))
            rows, evaluation = given.tokenized(texts, labels, 48), given.tokenized(others, theirs, 48)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                told = train(model, rows, evaluation, given.empty_folder())
                small = given.tokenized(texts[:20], labels[:20], 24), given.tokenized(others[:15], theirs[:15], 24)
                seen = given.watch_training(train, given.untrained(20), *small, given.empty_folder())
            accuracies.append(told["eval_accuracy"])
            losses.append(told["eval_loss"])
            moves.append(seen["moved"])
        yield "train_with_trainer: accuracy", name, accuracies
        yield "train_with_trainer: loss on the others", name, losses
        yield "train_with_trainer, 20 rows: moved by", name, moves


def recalls(runs: int) -> Iterable[Row]:
    """The share of first halves that find their second halves."""
    model, tokenizer = given.pretrained_bert(checkpoint("minilm"))
    for name, search in {
        "solution": right.semantic_search,
        "wrong: [CLS]": mistakes.compared_cls_vectors,
        "wrong: worst first": mistakes.worst_first,
    }.items():
        found = []
        for seed in range(runs):
            firsts, seconds = checks.halves_of_reviews(np.random.default_rng(seed))
            hits = [search(first, seconds, model, tokenizer, 1)[0][0] == i for i, first in enumerate(firsts)]
            found.append(float(np.mean(hits)))
        yield "semantic_search: recall@1", name, found


def paddings(runs: int) -> Iterable[Row]:
    """The share of padding in all positions."""
    for name, answer in {
        "solution": right.embed_fast,
        "from the longest, by 16": alternatives.fast_from_the_longest,
        "wrong: by characters": mistakes.sorted_by_characters,
        "wrong: not sorted": mistakes.did_not_sort,
        "wrong: padded before sorting": mistakes.padded_before_sorting,
    }.items():
        shares = []
        for seed in range(runs):
            texts = checks.texts_of_any_length(np.random.default_rng(seed))
            shares.append(given.watch_inference(answer, texts, *given.encoder(22))["padding"])
        yield "embed_fast: padding", name, shares


def speeds(runs: int) -> Iterable[Row]:
    """How many times faster than padding to the maximum."""
    answers = {
        "solution": right.embed_fast,
        "from the longest, by 16": alternatives.fast_from_the_longest,
        "by sorted texts": alternatives.fast_by_sorted_texts,
        "wrong: not sorted": mistakes.did_not_sort,
        "wrong: padded to the limit": mistakes.padded_all_to_the_limit,
    }
    return speedups(checks.test_is_faster_than_padding_to_the_maximum, "embed_fast", answers, runs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print_spreads(tolerances, paddings, trainings, speeds, recalls)
