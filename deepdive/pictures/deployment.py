"""One model in four forms, measured on this machine: as it is, with int8 layers, as ONNX, and as ONNX with int8.

The forms are made by hour 6's functions. Requests come one at a time and in turns, so that whatever else the machine
does slows all of them alike.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepdive import assets
from deepdive.pictures.tradeoff import Model

if TYPE_CHECKING:
    from deepdive.pictures.gallery import Functions

REVIEWS = 200  # of the test split: 95 % of such samples lie within 0.06 of the model's accuracy
_WARMUP = 5
_TOKENS = 128  # of a review; more take longer, and change little

Answer = Callable[[Mapping[str, Any]], int]


def measure(functions: Functions) -> list[Model]:
    """Latency (p50 of single requests), accuracy and size of each form; takes about a minute."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    checkpoint = assets.checkpoint("sentiment")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)  # type: ignore[no-untyped-call]
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    texts, labels = assets.reviews("test")
    every = len(texts) // REVIEWS  # the split is sorted by label: one from each stretch
    rows = [tokenizer(text, truncation=True, max_length=_TOKENS, return_tensors="pt") for text in texts[::every]]
    with tempfile.TemporaryDirectory() as folder, _quietly():
        root = Path(folder)
        quantized = functions.call("quantize_dynamic", model)
        functions.call("export_onnx", checkpoint, str(root / "onnx"))
        functions.call("quantize_onnx", str(root / "onnx"), str(root / "int8"))
        forms = {
            "PyTorch, float32": (_torch(model), _weighs(model, root)),
            "PyTorch, int8 layers": (_torch(quantized), _weighs(quantized, root)),
            "ONNX, float32": _onnx(root / "onnx"),
            "ONNX, int8": _onnx(root / "int8"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in forms}
        right = dict.fromkeys(forms, 0)
        with torch.inference_mode():
            for row, label in zip(rows, labels[::every], strict=True):
                for name, (answer, _) in forms.items():
                    begun = time.perf_counter()
                    right[name] += answer(row) == label
                    seconds[name].append(time.perf_counter() - begun)
    return [
        Model(
            name,
            milliseconds=functions.call("latency_report", seconds[name], _WARMUP)["p50_ms"],
            accuracy=right[name] / len(rows),
            megabytes=megabytes,
        )
        for name, (_, megabytes) in forms.items()
    ]


@contextmanager
def _quietly() -> Iterator[None]:
    """Exporting and quantizing warn about their own future, at length."""
    from transformers.utils import logging as of_transformers

    before = of_transformers.get_verbosity()
    of_transformers.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        of_transformers.set_verbosity(before)


def _torch(model: Any) -> Answer:
    return lambda row: int(model(**row).logits.argmax())


def _weighs(model: Any, folder: Path) -> float:
    """Megabytes of a model's parameters on disk."""
    import torch

    path = folder / "weights.pt"
    torch.save(model.state_dict(), path)
    return path.stat().st_size / 1e6


def _onnx(folder: Path) -> tuple[Answer, float]:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]

    (path,) = folder.glob("*.onnx")
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def answer(row: Mapping[str, Any]) -> int:
        (logits,) = session.run(["logits"], {name: row[name].numpy() for name in names})
        return int(logits.argmax())

    return answer, path.stat().st_size / 1e6
