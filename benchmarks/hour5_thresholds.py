"""How accurate hour 5's two minutes make a model, what they cost, and what bags of words get on the same rows.

    python benchmarks/hour5_thresholds.py                    # the configuration of the check, seeds 0 to 4
    python benchmarks/hour5_thresholds.py --seeds 0 0        # the same seed twice: the same weights?
    python benchmarks/hour5_thresholds.py --seeds 0 --answer labels_shuffled      # a known mistake, or another answer
    python benchmarks/hour5_thresholds.py --seeds 1 --rows 2000 --tail 0 --head 192 frozen_layers=0 learning_rate=1e-4

Prints one line of JSON a run: accuracy on held-out reviews, seconds of wall clock and of processor, a hash of the
weights; and, before these, the baselines.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.assets import checkpoint, reviews, use_offline

use_offline()


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def drawn(split: str, n: int, seed: int) -> tuple[list[str], list[int]]:
    texts, labels = reviews(split)  # type: ignore[arg-type]
    rows = random.Random(seed).sample(range(len(texts)), n)
    return [texts[row] for row in rows], [labels[row] for row in rows]


def bags_of_words(train: tuple[list[str], list[int]], test: tuple[list[str], list[int]]) -> float:
    """The accuracy of TF-IDF with logistic regression on whole texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2), LogisticRegression(C=10))
    return float(model.fit(*train).score(*test))


def answer_called(name: str) -> Callable[..., Any]:
    """The solution, one of the known mistakes, or one of the other right answers, by its name."""
    from checks.mistakes import hour5_finetuning as wrong
    from solutions import hour5_finetuning as right
    from tests.alternatives import hour5_finetuning as others

    found: list[Callable[..., Any]] = [vars(place)[name] for place in (right, wrong, others) if name in vars(place)]
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--test", type=int, default=1500)
    parser.add_argument("--head", type=int, default=-1)
    parser.add_argument("--tail", type=int, default=-1)
    parser.add_argument("--answer", default="fine_tune")
    parser.add_argument("--attention-dropout", type=float, default=None)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()

    import transformers

    transformers.logging.set_verbosity_error()
    from checks.given import hour5_finetuning as given

    fine_tune = answer_called(options.answer)
    rows = options.rows or given.QUICK_ROWS
    head, tail = (
        mine if mine >= 0 else quick
        for mine, quick in zip((options.head, options.tail), given.QUICK_CUT, strict=True)
    )
    overrides: dict[str, Any] = given.QUICK | {"bf16": given.bfloat16_is_fast(), "disable_tqdm": True}
    for text in options.overrides:
        name, _, value = text.partition("=")
        overrides[name] = json.loads(value)
    train, test = drawn("train", rows, 0), drawn("test", options.test, 1)
    baselines = {"majority": max(np.bincount(test[1])) / len(test[1]), "bags_of_words": bags_of_words(train, test)}
    print(json.dumps({"rows": rows, "head": head, "tail": tail} | baselines | overrides), flush=True)

    name = checkpoint("distilbert-base-uncased")
    if options.attention_dropout is not None:
        copy = Path(tempfile.mkdtemp())
        for file in Path(name).iterdir():
            (copy / file.name).symlink_to(file)
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").unlink()
        (copy / "config.json").write_text(json.dumps(config | {"attention_dropout": options.attention_dropout}))
        name = str(copy)
    prepared = given.tokenized(name, *train, head, tail)
    few = given.tokenized(name, test[0][:32], test[1][:32], head, tail)
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            began, used = time.perf_counter(), processor_seconds()
            fine_tune(name, prepared, few, folder, seed, **overrides)
            wall, used = time.perf_counter() - began, processor_seconds() - used
            used_to_judge = processor_seconds()
            files = given.files_in(folder)
            logits = given.logits_of_saved(files, test[0], head, tail)
            used_to_judge = processor_seconds() - used_to_judge
            weights = hashlib.sha256(files["model.safetensors"]).hexdigest()[:8]
        right = logits.argmax(axis=1) == np.array(test[1])
        print(
            json.dumps(
                {
                    "answer": options.answer,
                    "seed": seed,
                    "accuracy": round(float(right.mean()), 4),
                    "wall": round(wall),
                    "processor": round(used),
                    "weights": weights,
                    "judging": round(used_to_judge),
                    "load": round(os.getloadavg()[0], 1),
                    "megabytes": sum(map(len, files.values())) // 10**6,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
