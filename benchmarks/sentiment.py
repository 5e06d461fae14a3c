"""What the sentiment checkpoint costs to fit, and how often it is right on texts it was not fitted on.

Fits it anew in a cache of its own, as often as is asked for, and classifies held-out reviews and sentences with
Transformers:

    python benchmarks/sentiment.py 3
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive import assets


def main(runs: int) -> None:
    assets.use_offline()
    print(f"load at the start: {os.getloadavg()[0]:.1f}")
    for run in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DEEPDIVE_CACHE"] = folder
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            made = assets.path("sentiment")
            seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            digest = hashlib.sha256((made / "model.safetensors").read_bytes()).hexdigest()[:16]
            print(f"fit {run + 1}: {seconds:.1f} s, {cpu:.1f} s of CPU, weights {digest}", flush=True)
    del os.environ["DEEPDIVE_CACHE"]
    measure()


def measure() -> None:
    from transformers import pipeline

    classify = pipeline("text-classification", model=assets.checkpoint("sentiment"), device="cpu")
    texts, labels = assets.reviews("test")
    for length in (512, 128):
        tell(f"IMDb test, {length} tokens", classify, texts[::4], labels[::4], length)
    texts, labels = assets.reviews("train", "rotten_tomatoes")
    tell("Rotten Tomatoes, held out", classify, texts[::8], labels[::8], 512)


def tell(what: str, classify: Any, texts: list[str], labels: list[int], length: int) -> None:
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    answers = classify([texts[row] for row in order], truncation=True, max_length=length, batch_size=8)
    names = ("NEGATIVE", "POSITIVE")
    right = sum(answer["label"] == names[labels[row]] for answer, row in zip(answers, order, strict=True))
    share = right / len(texts)
    spread = (share * (1 - share) / len(texts)) ** 0.5
    print(f"{what}: {share:.3f} ± {spread:.3f} of {len(texts):,}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
