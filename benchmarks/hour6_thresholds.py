"""What hour 6's thresholds are set from, ten minutes for 20 runs; and whether they keep their word, so often.

    python benchmarks/hour6_thresholds.py 20
    python benchmarks/hour6_thresholds.py tiny 20         # of tiny models only, two minutes
    python benchmarks/hour6_thresholds.py speed 50           # verdicts on speed
    python benchmarks/hour6_thresholds.py speed 50 busy      # and with one process more for each core

Every run draws other reviews or another tiny classifier and measures as the checks do, nine interleaved pairs on one
thread. Prints least, median and largest of each figure, for right answers and for what must not pass.
"""

import sys
import warnings
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
warnings.simplefilter("ignore")

from benchmarks.speed_checks import busy_cores, idle  # noqa: E402
from checks.given import hour6_deployment as given  # noqa: E402
from checks.mistakes import hour6_deployment as wrong  # noqa: E402
from deepdive.assets import checkpoint, reviews  # noqa: E402
from solutions import hour6_deployment as right  # noqa: E402
from tests.alternatives import hour6_deployment as other  # noqa: E402

RUNS = next((int(word) for word in sys.argv[1:] if word.isdecimal()), 20)
PAIRS = 9


def spread(values):
    return f"{min(values):.3g} · {median(values):.3g} · {max(values):.3g}"


def drawn_batches(seed, texts, tokenizer, count=6):
    chosen = np.random.default_rng(seed).choice(len(texts), 8 * count, replace=False)
    openings = [texts[index][: 150 + 10 * place] for place, index in enumerate(chosen)]
    settings = {"padding": "max_length", "truncation": True, "max_length": 64, "return_tensors": "pt"}
    return [dict(tokenizer(openings[start : start + 8], **settings)) for start in range(0, 8 * count, 8)]


def agreement(said, expected):
    together = np.corrcoef(*((a - a.mean(0)).flatten().numpy() for a in (said.double(), expected.double())))[0, 1]
    return float(together), float((said - expected).abs().mean() / expected.std())


def models(model):
    """Each variant of the real classifier as a function from a batch to logits, and its bytes."""
    for name, make in {
        "PyTorch int8": right.quantize_dynamic,
        "PyTorch int8, per channel": other.quantize_per_channel,
        "PyTorch int8, by hand": other.quantize_layer_by_layer,
        "✗ embeddings only": wrong.only_the_embeddings,
        "✗ float16 weights": wrong.in_float16,
        "✗ unquantized": wrong.an_unquantized_copy,
    }.items():
        variant = make(model)
        yield name, lambda batch, variant=variant: given.logits(variant, batch), given.size_of(variant)
    yield "bfloat16", lambda batch: right.predict_mixed_precision(model, batch), given.size_of(model)
    source = given.folder()
    right.export_onnx(checkpoint("sentiment"), source)
    for name, make in {
        "✗ ONNX float32": None,
        "ONNX int8, vnni per channel": right.quantize_onnx,
        "ONNX int8, avx2": other.quantize_onnx_for_plain_machines,
        "ONNX int8, seven bits": other.quantize_onnx_by_onnx_runtime,
    }.items():
        place = source
        if make is not None:
            place = given.folder()
            make(source, place)
        session = given._session(place)
        size = sum(path.stat().st_size for path in Path(place).glob("*.onnx"))
        yield name, lambda batch, session=session: given._run(session, batch), size


ASKED = {  # by the checks, of the median of nine pairs; what they tell by its size or its layers has no number here
    "PyTorch int8": 1.2,
    "✗ embeddings only": 1.2,
    "bfloat16": 1.2,
    "ONNX int8, vnni per channel": 1.1,
    "ONNX int8, avx2": 1.1,
}


def speed_verdicts():
    """A check's verdict on speed is that of the median of nine pairs: so many of them for each variant."""
    from transformers import AutoTokenizer

    torch.set_num_threads(1)
    model = given.classifier(checkpoint("sentiment"))
    batch = drawn_batches(6, reviews("test")[0], AutoTokenizer.from_pretrained(checkpoint("sentiment")), 1)[0]
    machine = "busy" if "busy" in sys.argv else "idle"
    print("| variant | asked for | machine | verdicts | ratio: lowest, median, highest |\n|---|--:|---|---|---|")
    for name, say, _ in models(model):
        if name not in ASKED:
            continue
        with busy_cores() if machine == "busy" else idle():
            pairs = [partial(say, batch), partial(given.logits, model, batch)]
            ratios = [median(given._in_pairs(*pairs, PAIRS)) for _ in range(RUNS)]
        passed = sum(ratio >= ASKED[name] for ratio in ratios)
        verdicts = f"{passed} passed, {RUNS - passed} failed"
        print(f"| {name} | {ASKED[name]} | {machine} | {verdicts} | {spread(ratios)} |", flush=True)


def main():
    from transformers import AutoTokenizer

    torch.set_num_threads(1)
    if "tiny" not in sys.argv:
        model = given.classifier(checkpoint("sentiment"))
        tokenizer, variants = AutoTokenizer.from_pretrained(checkpoint("sentiment")), list(models(model))
        print_spreads_of(variants, model, tokenizer)
        print_latencies_of(variants, model, tokenizer)
    print_tiny_figures()


def print_spreads_of(variants, model, tokenizer):
    """Size, speed and agreement of every variant, on other reviews each time."""
    texts, _ = reviews("test")
    print(f"{RUNS} runs, least · median · largest; size and speed against PyTorch in float32\n")
    print("| variant | size | speedup, median of 9 pairs | correlation | off, deviations |\n|---|--:|--:|--:|--:|")
    whole = given.size_of(model)
    for name, say, size in variants:
        ratios, together, off = [], [], []
        for run in range(RUNS):
            batches = drawn_batches(run, texts, tokenizer)
            quick, slow = partial(say, batches[0]), partial(given.logits, model, batches[0])
            ratios.append(median(given._in_pairs(quick, slow, PAIRS)))
            found = agreement(
                torch.cat([say(b) for b in batches]), torch.cat([given.logits(model, b) for b in batches])
            )
            together.append(found[0])
            off.append(found[1])
        print(f"| {name} | {size / whole:.2f} | {spread(ratios)} | {spread(together)} | {spread(off)} |", flush=True)


def print_latencies_of(variants, model, tokenizer):
    """What one review takes, and how many reviews are judged rightly."""
    texts, labels = reviews("test")
    whole = given.size_of(model)
    print("\n| variant, 128 tokens, one review at a time | MB | p50 ms | p95 ms | accuracy on 200 reviews |")
    print("|---|--:|--:|--:|--:|")
    chosen = np.random.default_rng(0).choice(len(texts), 200, replace=False)
    settings = {"padding": "max_length", "truncation": True, "max_length": 128, "return_tensors": "pt"}
    batches = [dict(tokenizer([texts[index]], **settings)) for index in chosen]
    everything = [("PyTorch float32", lambda batch: given.logits(model, batch), whole), *variants]
    for name, say, size in everything:
        seconds, hits = [], 0
        for index, batch in zip(chosen, batches, strict=True):
            began = perf_counter()
            said = say(batch)
            seconds.append(perf_counter() - began)
            hits += int(said.argmax()) == labels[index]
        report = right.latency_report(seconds, warmup=10)
        row = f"| {name} | {size / 1e6:.1f} | {report['p50_ms']:.1f} | {report['p95_ms']:.1f} | {hits / 200:.3f} |"
        print(row, flush=True)


def print_tiny_figures():
    """What is asked of tiny classifiers, one a run."""
    print(
        "\nTiny classifiers, one a run: size of int8; correlation; largest error of bfloat16 and of the ONNX export"
    )
    figures = {
        name: [] for name in ("size", "size per channel", "size by hand", "size float16", "correlation", "bf16")
    }
    figures |= {name: [] for name in ("onnx export", "onnx int8 correlation", "onnx avx2 correlation")}
    figures |= {name: [] for name in ("onnx seven bits correlation", "✗ overflow correlation")}
    for run in range(RUNS):
        tiny, batch = given.tiny_classifier(run, 64), given.tiny_batch(run, rows=40)
        expected, size = given.logits(tiny, batch), given.size_of(tiny)
        quantized = right.quantize_dynamic(tiny)
        figures["size"].append(given.size_of(quantized) / size)
        figures["size per channel"].append(given.size_of(other.quantize_per_channel(tiny)) / size)
        figures["size by hand"].append(given.size_of(other.quantize_layer_by_layer(tiny)) / size)
        figures["size float16"].append(given.size_of(wrong.in_float16(tiny)) / size)
        figures["correlation"].append(agreement(given.logits(quantized, batch), expected)[0])
        small, place = given.tiny_classifier(run), given.folder()
        expected = given.logits(small, batch)
        figures["bf16"].append(float((right.predict_mixed_precision(small, batch) - expected).abs().max()))
        right.export_onnx(given.tiny_checkpoint(run), place)
        figures["onnx export"].append(float((given.onnx_logits(place, [batch])[0] - expected).abs().max()))
        for name, make in {
            "onnx int8 correlation": right.quantize_onnx,
            "onnx avx2 correlation": other.quantize_onnx_for_plain_machines,
            "onnx seven bits correlation": other.quantize_onnx_by_onnx_runtime,
            "✗ overflow correlation": wrong.unsigned_overflow,
        }.items():
            target = given.folder()
            make(place, target)
            figures[name].append(agreement(given.onnx_logits(target, [batch])[0], expected)[0])
    for name, values in figures.items():
        print(f"- {name}: {spread(values)}")


if __name__ == "__main__":
    speed_verdicts() if "speed" in sys.argv else main()
