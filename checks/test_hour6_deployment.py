"""Checks for hour 6: quantization, ONNX, an API under stress, and the other ways to a smaller, faster model.

What an answer exports is loaded and measured in the clean room, against PyTorch's float32 model in the same run.
"""

import re
from functools import cache
from statistics import median

import numpy as np
import torch

from checks.given.hour6_deployment import (
    classifier,
    compare_onnx,
    dawdle,
    dtypes_inside,
    files_in,
    float_embeddings,
    float_layers,
    folder,
    folder_with,
    gradient_of,
    inside_after,
    inside_of,
    logits,
    mode_of,
    names_in,
    onnx_interface,
    onnx_logits,
    onnx_weights,
    size_of,
    speedups,
    talk,
    tiny_batch,
    tiny_checkpoint,
    tiny_classifier,
    wants_gradient,
)
from deepdive.expect import NotApplicable, WrongAnswer, expect
from deepdive.pytest_plugin import exercise
from solutions import hour6_deployment as right

# ── quantize_tensor ─────────────────────────────────────────────────────────────────────────────────────────────


@exercise("quantize_tensor", points=3, minutes=8)
def test_rounds_to_symmetric_integers(answer, rng):
    for bits, shape in ((8, (4, 7)), (4, (30,)), (2, (3, 2, 5)), (8, ())):
        x = torch.from_numpy(rng.normal(size=shape)).float()
        x = x.reshape(-1).index_fill(0, torch.tensor([0]), -4.0).reshape(shape)  # the largest magnitude is negative
        means_the_numbers(answer(x, bits), x, bits)


@exercise("quantize_tensor")
def test_lays_the_full_range_over_asymmetric_numbers(answer, rng):
    x = torch.from_numpy(rng.uniform(0.5, 2.5, size=(5, 6))).float()
    for bits, shifted in ((8, x - 1.2), (8, x), (8, -x), (5, x - 1.7)):
        means_the_numbers(answer(shifted, bits=bits, symmetric=False), shifted, bits, symmetric=False)
    # Both ends lie half way between integers, where rounding may lead to 128, which is none of int8's.
    for x in (torch.tensor([-1.0, 0.3, 1.0]), torch.tensor([-127.5, 38.2, 127.5])):
        means_the_numbers(answer(x, symmetric=False), x, symmetric=False)


@exercise("quantize_tensor")
def test_gives_every_index_of_an_axis_a_scale(answer, rng):
    x = torch.from_numpy(rng.normal(size=(3, 4, 5))).float()
    x = x * torch.tensor([0.01, 1.0, 40.0])[:, None, None] * torch.tensor([1.0, 5.0, 0.1, 2.0])[:, None]
    for axis in (0, 1, -1, -2, -3):
        for symmetric in (True, False):
            means_the_numbers(answer(x, 8, symmetric, axis), x, symmetric=symmetric, axis=axis)
    x = torch.tensor([0.5, -3.0, 0.0, 0.01])  # every number a row of its own
    for symmetric in (True, False):
        means_the_numbers(answer(x, 8, symmetric, 0), x, symmetric=symmetric, axis=0)


@exercise("quantize_tensor")
def test_takes_any_floats(answer, rng):
    for dtype in (torch.float64, torch.float16):
        x = torch.from_numpy(rng.normal(size=(4, 6))).to(dtype)
        for axis in (None, 1):
            means_the_numbers(answer(x, axis=axis), x, axis=axis)


@exercise("quantize_tensor")
def test_keeps_constants_and_zero_exact(answer):
    zeros = torch.zeros(2, 3)
    for symmetric in (True, False):
        for axis in (None, 1):
            q = answer(zeros, symmetric=symmetric, axis=axis)
            has_the_parts(q, zeros, axis)
            expect(q["scale"], "scale of zeros").close_to(torch.ones(() if axis is None else 3))
            expect(meaning(q), "zeros, there and back").close_to(zeros)
        for constant in (0.7, -3.0):
            x = torch.full((2, 3), constant)
            means_the_numbers(answer(x, symmetric=symmetric), x, symmetric=symmetric)
        x = torch.tensor([[0.0, 0.9, -0.2], [0.0, 0.0, 0.0]])
        q = answer(x, symmetric=symmetric, axis=0)
        means_the_numbers(q, x, symmetric=symmetric, axis=0)
        expect(meaning(q)[x == 0], "what 0.0 came back as").close_to(torch.zeros(4))


@exercise("quantize_tensor")
def test_refuses_what_it_cannot_round(answer):
    x = torch.tensor([[1.0, -2.0, 0.5]])
    for bits in (1, 9, 16):
        with expect.raises(ValueError, naming=bits):
            answer(x, bits=bits)
    for axis in (2, -3, 7):
        with expect.raises(ValueError, naming=axis):
            answer(x, axis=axis)
    with expect.raises(ValueError, naming="int64"):
        answer(torch.tensor([1, 2]))
    with expect.raises(ValueError, naming=(2, 0)):
        answer(torch.zeros(2, 0))
    with expect.raises(ValueError, naming="nan"):
        answer(torch.tensor([1.0, float("nan")]))
    with expect.raises(ValueError, naming="inf"):
        answer(torch.tensor([1.0, float("inf")]), symmetric=False)


def has_the_parts(q, x, axis):
    expect(sorted(map(str, q)), "the keys").equals(["axis", "scale", "values", "zero_point"])
    expect(q["axis"], "axis").equals(axis)
    per = () if axis is None else (x.shape[axis],)
    for name, dtype, shape in (
        ("values", np.int8, tuple(x.shape)),
        ("scale", np.float32, per),
        ("zero_point", np.int32, per),
    ):
        expect(q[name], name).has_shape(*shape).has_dtype(dtype)


def means_the_numbers(q, x, bits=8, *, symmetric=True, axis=None):
    """The parts are there, and right to half a step: what lies between two integers may go to either."""
    has_the_parts(q, x, axis)
    exact = right.quantize_tensor(x.double(), bits, symmetric, axis)
    expect(q["scale"], "scale").close_to(exact["scale"], atol=0, rtol=1e-5)
    most = 2 ** (bits - 1) - 1
    least = -most if symmetric else -most - 1
    low = x.clamp(max=0) if axis is None else x.clamp(max=0).movedim(axis, 0).reshape(x.shape[axis], -1)
    low = low.min() if axis is None else low.amin(1)
    at = torch.zeros_like(exact["scale"]) if symmetric else least - low.double() / exact["scale"]
    expect(q["zero_point"], "zero_point").equals(nearest(q["zero_point"], at).to(torch.int32))
    along = [1] * x.ndim
    if axis is not None:
        along[axis] = -1
    scale, zero = (part.reshape(along) for part in (exact["scale"].double(), q["zero_point"].double()))
    at = (x.double() / scale + zero).clamp(least, most)
    expect(q["values"], "values").equals(nearest(q["values"], at).to(torch.int8))


def nearest(got, at):
    """The integers nearest to `at`; where `got` is as near, but for a thousandth, then `got`."""
    return torch.where((got - at).abs() <= 0.501, got.double(), at.round().double())


def meaning(q):
    along = [1] * q["values"].ndim
    if q["axis"] is not None:
        along[q["axis"]] = -1
    return q["scale"].reshape(along) * (q["values"].to(torch.int32) - q["zero_point"].reshape(along))


# ── dequantize_tensor ───────────────────────────────────────────────────────────────────────────────────────────


@exercise("dequantize_tensor", points=2, minutes=4)
def test_brings_a_tensor_back_to_half_a_step(answer, rng):
    for symmetric in (True, False):
        for shift in (0.0, 1.5, -1.5):
            x = torch.from_numpy(rng.normal(size=(4, 6)) + shift).float()
            q = right.quantize_tensor(x, symmetric=symmetric)
            expect(answer(q)).close_to(meaning(q)).has_dtype(np.float32)


@exercise("dequantize_tensor")
def test_brings_every_row_or_column_back(answer, rng):
    x = torch.from_numpy(rng.normal(size=(3, 4, 5)) + 1).float() * torch.tensor([0.1, 1.0, 30.0])[:, None, None]
    for axis in (0, 1, 2, -1, -3):
        for symmetric in (True, False):
            q = right.quantize_tensor(x, 6, symmetric, axis)
            expect(answer(q)).close_to(meaning(q)).has_dtype(np.float32)


@exercise("dequantize_tensor")
def test_subtracts_without_wrapping_around(answer):
    values = torch.tensor([[-128, 0, 127], [5, -7, 100]], dtype=torch.int8)
    for zero_point in (-128, 127, 90):
        scale, zero = torch.tensor(0.25), torch.tensor(zero_point, dtype=torch.int32)
        q = {"values": values, "scale": scale, "zero_point": zero, "axis": None}
        expect(answer(q)).close_to((values.double() - zero_point).float() / 4)


# ── quantize_dynamic ────────────────────────────────────────────────────────────────────────────────────────────


@exercise("quantize_dynamic", points=3, minutes=6)
def test_makes_every_linear_layer_int8(answer, given):
    for seed, training in ((1, True), (2, False)):
        is_int8(answer, given, seed, training)


@exercise("quantize_dynamic")
def test_nearly_says_what_the_model_says(answer, given):
    for seed in (3, 4):
        quantized, batch = answer(given(tiny_classifier, seed, 64)), tiny_batch(seed, rows=40)
        said = given(logits, quantized, batch)
        expect(said).has_shape(40, 3).is_finite()
        # 0.981 to 0.993 in 20 classifiers, other right answers 0.986 to 0.998; off by 0.14 deviations at most.
        agrees(said, logits(tiny_classifier(seed, 64), batch), at_least=0.95)


@exercise("quantize_dynamic")
def test_leaves_the_original_alone(answer, given):
    for training in (True, False):
        after = given(inside_after, answer, given(tiny_classifier, 5, 32, training))
        expect(after, "the model afterwards").equals(inside_of(tiny_classifier(5, 32, training)))


@exercise("quantize_dynamic", seconds=60)
def test_is_smaller_and_faster_on_real_reviews(answer, given):
    from deepdive.assets import checkpoint

    is_int8(answer, given, 1, True)  # what fails with a tiny one need not wait for the real one
    model = given(classifier, checkpoint("sentiment"))
    quantized = answer(model)
    share = given(size_of, quantized) / size_of(own_classifier())
    # 0.72 of the size, most of it embeddings; float16 weights are saved as float32: 1.00.
    if not share < 0.76:
        raise WrongAnswer("saved weights of less than 0.76 of the model's", f"{share:.2f} of its bytes")
    batches = real_batches()
    said = torch.cat([given(logits, quantized, batch) for batch in batches])
    # Correlations of 0.938 to 0.984, per channel 0.974 to 0.992, by hand 0.994 to 0.998; off by 0.29 at most (20
    # draws).
    agrees(said, torch.cat([logits(own_classifier(), batch) for batch in batches]), at_least=0.9)
    # Medians of 9 pairs, 50 times each on an idle machine and on a busy one: the solution 2.2 to 2.4 and 2.0 to 2.5,
    # int8 embeddings alone 0.99 to 1.03 and 0.6 to 1.12. Per channel and by hand as the solution; float16 weights
    # 1.05 at most. An older processor, without VNNI, gains less.
    is_faster(given(speedups, quantized, model, batches[0], 9), 1.2)


def is_int8(answer, given, seed, training):
    quantized, batch = answer(given(tiny_classifier, seed, 64, training)), tiny_batch(seed)
    left, embeddings = given(float_layers, quantized), given(float_embeddings, quantized)
    mode, size = given(mode_of, quantized), given(size_of, quantized)
    if mode == "evaluation":
        given(logits, quantized, batch)  # tells mistakes apart
    expect(left, "linear layers that are still float32").equals([])
    same = ["distilbert.embeddings.word_embeddings", "distilbert.embeddings.position_embeddings"]
    expect(embeddings, "embeddings that are as they were").equals(same)
    expect(mode, "the mode of what came back").equals("evaluation")
    share = size / size_of(tiny_classifier(seed, 64))
    # 0.36 of the size; 0.40 by hand, 0.42 with a scale per channel; 1.02 in float16, which is saved as float32.
    if not share < 0.5:
        raise WrongAnswer("saved weights of less than 0.5 of the model's", f"{share:.2f} of its bytes")


def agrees(said, expected, *, at_least):
    """The logits go up and down with those of the float32 model: their correlation, each label's mean taken away."""
    if isinstance(said, str):
        raise WrongAnswer("logits", said)
    expect(said, "logits").has_shape(*expected.shape).is_finite()
    together = np.corrcoef(*((a - a.mean(0)).flatten().numpy() for a in (said.double(), expected.double())))[0, 1]
    off = float((said - expected).abs().mean() / expected.std())
    if not (together >= at_least and off < 0.5):
        wanted = f"logits that go with the float32 model's: correlation {at_least:g}, off by half a deviation at most"
        raise WrongAnswer(wanted, f"correlation {together:.3f}, off by {off:.2f} deviations on average")


def is_faster(ratios, at_least):
    """Most of the interleaved pairs say so."""
    faster = sum(ratio >= at_least for ratio in ratios)
    if faster <= len(ratios) / 2:
        wanted = f"at least {at_least:g}× as fast as PyTorch in float32"
        got = f"{median(ratios):.2g}× its speed (median of {len(ratios)} pairs)"
        raise WrongAnswer(wanted, got)


@cache
def own_classifier():
    from deepdive.assets import checkpoint

    return classifier(checkpoint("sentiment"))


@cache
def real_batches():
    """Six batches of eight real reviews of 64 tokens, of other lengths inside."""
    from transformers import AutoTokenizer

    from deepdive.assets import checkpoint, sample_reviews

    tokenizer = AutoTokenizer.from_pretrained(checkpoint("sentiment"))
    texts, _ = sample_reviews(48, seed=6)
    texts = [text[: 150 + 10 * index] for index, text in enumerate(texts)]
    settings = {"padding": "max_length", "truncation": True, "max_length": 64, "return_tensors": "pt"}
    return [dict(tokenizer(texts[start : start + 8], **settings)) for start in range(0, 48, 8)]


# ── export_onnx ─────────────────────────────────────────────────────────────────────────────────────────────────


@exercise("export_onnx", points=3, minutes=8, seconds=60)
def test_writes_a_model_with_its_inputs_and_outputs(answer, given):
    place = given(folder)
    answer(given(tiny_checkpoint, 7), place)
    names = [name for name in given(names_in, place) if name == "config.json" or not name.endswith("_config.json")]
    expect(names, "what is in the folder").equals(["config.json", "model.onnx"])
    expect(given(onnx_interface, place), "the model's inputs and outputs").equals(INTERFACE)


@exercise("export_onnx", seconds=90)
def test_gives_the_same_logits_for_any_batch_and_length(answer, given, clean_room):
    from deepdive.assets import checkpoint

    place = given(folder)
    answer(given(tiny_checkpoint, 8), place)  # what fails with a tiny one need not wait for the real one
    batches = [tiny_batch(rows, rows, tokens) for rows, tokens in ((3, 12), (1, 5), (2, 40), (5, 8))]
    # Right exports are off by 3e-6 at most, in 20 checkpoints.
    expected = [logits(tiny_classifier(8), batch) for batch in batches]
    said = given(onnx_logits, place, batches)
    expect(said, "logits of a tiny classifier").close_to(expected, atol=1e-4, rtol=1e-4)
    place = given(folder)
    answer(checkpoint("sentiment"), place)
    batches = real_batches()[:2]
    found = clean_room(compare_onnx, fetched(given, place), checkpoint("sentiment"), batches, 0)
    # 2e-5 off at most, in 20 exports.
    expected = [logits(own_classifier(), batch) for batch in batches]
    expect(found["logits"], "logits for real reviews").close_to(expected, atol=1e-4, rtol=1e-4)


INTERFACE = {
    "inputs": {"input_ids": "tensor(int64), 2 axes", "attention_mask": "tensor(int64), 2 axes"},
    "outputs": {"logits": "tensor(float), 2 axes"},
}


def fetched(given, place):
    """The bytes of the ONNX files in a folder; nothing that could be written elsewhere than beside one another."""
    files = given(files_in, place)
    if not isinstance(files, dict) or not all(re.fullmatch(r"\w[\w.-]*", name) for name in files):
        raise WrongAnswer("a folder of ordinary files", str(files)[:200])
    return {name: content for name, content in files.items() if name.endswith((".onnx", ".onnx_data", ".data"))}


# ── quantize_onnx ───────────────────────────────────────────────────────────────────────────────────────────────


@exercise("quantize_onnx", points=3, minutes=6, seconds=60)
def test_leaves_the_original_and_its_interface_as_they_are(answer, given):
    source, place = given(folder_with, tiny_onnx()), given(folder)
    answer(source, place)
    expect(given(onnx_interface, place), "the model's inputs and outputs").equals(INTERFACE)
    expect(given(files_in, source), "the folder it was made from").equals(tiny_onnx())


@exercise("quantize_onnx", seconds=60)
def test_is_a_quarter_of_the_size_and_faster(answer, given, clean_room):
    from deepdive.assets import checkpoint

    source, place = given(folder_with, tiny_onnx()), given(folder)
    answer(source, place)  # what fails with a tiny one need not wait for the real one
    batch = tiny_batch(9, rows=40)
    (said,), weights = given(onnx_logits, place, [batch]), given(onnx_weights, place)
    expect(weights, "matrices").equals(QUANTIZED)
    agrees(said, logits(tiny_classifier(9), batch), at_least=0.95)
    source, place = given(folder_with, real_onnx()), given(folder)
    answer(source, place)
    files = fetched(given, place)
    share = sum(map(len, files.values())) / sum(map(len, real_onnx().values()))
    if not share < 0.35:
        raise WrongAnswer("files of less than 0.35 of the size of the ONNX model", f"{share:.2f} of its bytes")
    batches = real_batches()
    found = clean_room(compare_onnx, files, checkpoint("sentiment"), batches, 9)
    said = torch.cat(found["logits"])
    agrees(said, torch.cat([logits(own_classifier(), batch) for batch in batches]), at_least=0.9)
    # Medians of 9 pairs, 50 times each on an idle machine and on a busy one: the solution 2.7 to 2.9 and 2.3 to 4.1,
    # the avx2 configuration 1.49 to 1.55 and 1.37 to 1.94; float32 ONNX, told by its size, is at 1.15 to 1.34.
    # Correlations on these reviews: 0.995, avx2 0.978, seven bits 0.947.
    is_faster(found["speedups"], 1.1)


QUANTIZED = {"linear, 8 bits": 14, "linear, float": 0, "embeddings, 8 bits": 2, "embeddings, float": 0}


@cache
def tiny_onnx():
    return exported(tiny_checkpoint(9))


@cache
def real_onnx():
    from deepdive.assets import checkpoint

    return exported(checkpoint("sentiment"))


def exported(source):
    """The ONNX model and its configuration, as the right answer exports them."""
    place = folder()
    right.export_onnx(source, place)
    return {name: content for name, content in files_in(place).items() if name in ("model.onnx", "config.json")}


# ── latency_report ──────────────────────────────────────────────────────────────────────────────────────────────


@exercise("latency_report", points=1, minutes=4)
def test_sums_up_in_milliseconds(answer, rng):
    for n in (1, 2, 50, 200):
        seconds = rng.gamma(2.0, 0.02, size=n).tolist()
        expect(answer(seconds)).close_to(report(seconds), rtol=1e-9)


@exercise("latency_report")
def test_leaves_the_warm_up_out(answer, rng):
    seconds = [9.0, 4.0, 2.0, *rng.gamma(2.0, 0.02, size=37).tolist()]
    for warmup in (0, 1, 3, 10, 39):
        expect(answer(seconds, warmup)).close_to(report(seconds[warmup:]), rtol=1e-9)


@exercise("latency_report")
def test_refuses_a_warm_up_of_everything(answer):
    for seconds, warmup in (([0.1, 0.2], 2), ([0.1, 0.2, 0.3], 7), ([0.1, 0.2], -1), ([], 0)):
        with expect.raises(ValueError, naming=warmup):
            answer(seconds, warmup)


def report(seconds):
    p50, p95, p99 = (1000 * np.percentile(seconds, (50, 95, 99))).tolist()
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "throughput_per_s": len(seconds) / sum(seconds)}


# ── create_app ──────────────────────────────────────────────────────────────────────────────────────────────────


@exercise("create_app", points=5, minutes=15, seconds=60)
def test_answers_one_text_or_many_in_order(answer, given):
    texts = ["a very fine film", "dull", "not bad and not good", "dull", "the plot was the film"]
    steps = [
        [["GET", "/health", None]],
        [["POST", "/predict", {"text": texts[0]}]],
        [["POST", "/predict", {"texts": texts}]],
        [["POST", "/predict", {"texts": texts[2:3]}]],
    ]
    replies = given(talk, answer, given(tiny_checkpoint, 0), steps)
    healthy = {"status": 200, "json": {"status": "ok"}}
    expected = [[healthy], *([{"status": 200, "json": predictions(of)}] for of in (texts[:1], texts, texts[2:3]))]
    # Scores of one text alone and in a batch differ by 2e-7.
    expect(replies, "replies").close_to(expected, atol=1e-4, rtol=0)


@exercise("create_app", seconds=60)
def test_answers_422_to_what_it_cannot_predict(answer, given):
    place = given(tiny_checkpoint, 0)
    for bodies in (REFUSED_MOST, REFUSED_TOO):  # the first few tell mistakes apart
        replies = given(talk, answer, place, [[["POST", "/predict", body]] for body in bodies.values()])
        statuses = {what: reply["status"] for what, (reply,) in zip(bodies, replies, strict=True)}
        expect(statuses, "the status for").equals(dict.fromkeys(bodies, 422))


REFUSED_MOST = {
    "white space alone": {"text": " \t\n "},
    "10,001 characters": {"text": "a" * 10_001},
    "65 texts": {"texts": ["good"] * 65},
    "both keys": {"text": "good", "texts": ["bad"]},
    "neither key": {},
}
REFUSED_TOO = {
    "an empty text": {"text": ""},
    "a number": {"text": 5},
    "null": {"text": None},
    "a list as text": {"text": ["good"]},
    "no texts": {"texts": []},
    "null for texts": {"texts": None},
    "a text as texts": {"texts": "good"},
    "an empty text among others": {"texts": ["good", ""]},
    "white space among others": {"texts": ["  ", "good"]},
    "10,001 characters among others": {"texts": ["good", "a" * 10_001]},
    "a number among texts": {"texts": ["good", 3]},
    "both keys, one of them null": {"text": "good", "texts": None},
    "a list": ["good"],
    "a string": "good",
    "null alone": b"null",
    "no JSON": b'{"text": ',
    "nothing": b"",
    "plain text": ("text/plain", b"good"),
    "a form": ("application/x-www-form-urlencoded", b"text=good"),
}


@exercise("create_app", seconds=60)
def test_takes_the_longest_texts_and_the_largest_batch(answer, given):
    longest = ("good " * 2_000)[:9_999] + "x"
    texts = [f"film {number} was {'not ' * (number % 4)}good" for number in range(64)]
    place = given(tiny_checkpoint, 0)
    for body, of in (({"text": longest}, [longest]), ({"texts": texts}, texts)):
        ((reply,),) = given(talk, answer, place, [[["POST", "/predict", body]]])
        expected = {"status": 200, "json": predictions(of)}
        expect(reply, f"reply to {len(of)} of {len(of[0])} characters").close_to(expected, atol=1e-4, rtol=0)


@exercise("create_app", seconds=60)
def test_serves_fifty_clients_at_once(answer, given):
    from deepdive.assets import sample_reviews

    answers_one(answer, given)
    reviews, _ = sample_reviews(50, seed=5)
    texts = [review[:25] for review in reviews]
    (replies,) = given(talk, answer, given(tiny_checkpoint, 0), [[["POST", "/predict", {"text": t}] for t in texts]])
    expected = [{"status": 200, "json": predictions([text])} for text in texts]
    expect(replies, "replies").close_to(expected, atol=1e-4, rtol=0)


@exercise("create_app", seconds=60)
def test_loads_the_model_only_once(answer, given):
    steps = [[["POST", "/predict", {"text": "good"}]], "folder gone", [["POST", "/predict", {"text": "dull"}]]]
    replies = given(talk, answer, given(tiny_checkpoint, 0), steps)
    expected = [[{"status": 200, "json": predictions([text])}] for text in ("good", "dull")]
    expect(replies, "replies before and after the model's folder was taken away").close_to(
        expected, atol=1e-4, rtol=0
    )


@exercise("create_app", seconds=60)
def test_lives_through_slow_huge_and_odd_requests(answer, given):
    place = given(tiny_checkpoint, 0)
    huge = b'{"padding": "' + b"a" * 10_000_000 + b'"}'
    steps = [[["POST", "/predict", body]] for body in (huge, {"text": "bad"})]
    (first,), (second,) = given(talk, answer, place, steps)
    if first["status"] not in (413, 422):
        raise WrongAnswer("status 422 for a body of 10 MB", f"{first['status']}")
    served = [{"status": 200, "json": {"status": "ok"}}, {"status": 200, "json": predictions(["bad"])}]
    expect(second, "reply to the request after a body of 10 MB").close_to(served[1], atol=1e-4, rtol=0)
    slow = {"text": "a fine film, typed by somebody who takes their time"}
    found = given(dawdle, answer, place, slow, [["GET", "/health", None], ["POST", "/predict", {"text": "bad"}]])
    expect(found["others"], "replies to others while one client is slow").close_to(served, atol=1e-4, rtol=0)
    expected = {"status": 200, "json": predictions([slow["text"]])}
    expect(found["slow"], "reply to the slow client").close_to(expected, atol=1e-4, rtol=0)


@exercise("create_app", seconds=60)
def test_finishes_what_it_began_when_told_to_stop(answer, given):
    answers_one(answer, given)
    slow, others = {"text": "a film that has its time"}, [["GET", "/health", None]]
    found = given(dawdle, answer, given(tiny_checkpoint, 0), slow, others, shut_down=True)
    expected = {"status": 200, "json": predictions([slow["text"]])}
    expect(found["slow"], "reply to a request during shutdown").close_to(expected, atol=1e-4, rtol=0)
    expect(found["ended"], "whether the server came to its end").equals(True)


def answers_one(answer, given):
    """One plain request first: who answers that wrong need not be tried at length."""
    ((reply,),) = given(talk, answer, given(tiny_checkpoint, 0), [[["POST", "/predict", {"text": "good"}]]])
    expect(reply, "reply to one request").close_to({"status": 200, "json": predictions(["good"])}, atol=1e-4, rtol=0)


def predictions(texts):
    """What `/predict` is to answer, from each text alone."""
    model, tokenizer = own_tiny()
    found = []
    for text in texts:
        batch = tokenizer(text, truncation=True, return_tensors="pt")
        score, label = logits(model, batch).softmax(-1)[0].max(-1)
        found.append({"label": model.config.id2label[int(label)], "score": float(score)})
    return {"predictions": found}


@cache
def own_tiny():
    from transformers import AutoTokenizer

    place = tiny_checkpoint(0)
    return classifier(place), AutoTokenizer.from_pretrained(place)


# ── int8_matmul ─────────────────────────────────────────────────────────────────────────────────────────────────


@exercise("int8_matmul", points=2, minutes=6, stretch=True)
def test_gives_the_product_of_what_they_mean(answer, rng):
    for symmetric in ((False, False), (True, True), (False, True), (True, False)):
        a, b = (
            right.quantize_tensor(torch.from_numpy(rng.normal(size=shape) + 0.8).float(), symmetric=s)
            for shape, s in zip(((3, 5), (5, 4)), symmetric, strict=True)
        )
        product = (meaning(a).double() @ meaning(b).double()).float()
        expect(answer(a, b)).close_to(product, atol=1e-4, rtol=1e-4).has_dtype(np.float32)


@exercise("int8_matmul")
def test_adds_up_without_overflow(answer, rng):
    a, b = (
        right.quantize_tensor(torch.from_numpy(rng.uniform(low, 1.0, size=shape)).float(), symmetric=symmetric)
        for shape, low, symmetric in (((2, 700), 0.9, False), ((700, 3), -0.1, True))
    )
    product = (meaning(a).double() @ meaning(b).double()).float()
    expect(answer(a, b)).close_to(product, atol=1e-3, rtol=1e-4)


@exercise("int8_matmul")
def test_refuses_matrices_that_do_not_fit(answer):
    a, b, row = (right.quantize_tensor(torch.ones(shape)) for shape in ((2, 3), (4, 5), (3,)))
    for first, second in ((a, b), (b, a), (b, b)):
        with expect.raises(ValueError, naming=(4, 5)):
            answer(first, second)
    stack = right.quantize_tensor(torch.ones(3, 3, 3))
    for first, second in ((a, stack), (stack, right.quantize_tensor(torch.ones(3, 3)))):
        with expect.raises(ValueError, naming=(3, 3, 3)):
            answer(first, second)
    with expect.raises(ValueError, naming=(3,)):
        answer(a, row)
    with expect.raises(ValueError, naming=(3,)):
        answer(row, a)


# ── prune_by_magnitude ──────────────────────────────────────────────────────────────────────────────────────────


@exercise("prune_by_magnitude", points=2, minutes=5, stretch=True)
def test_zeroes_exactly_the_smallest(answer, rng):
    weight = torch.from_numpy(rng.normal(size=(6, 7)) * np.geomspace(0.1, 10, 6)[:, None]).float()
    for sparsity in (0.25, 0.5, 0.9, 0.37):
        expect(answer(weight, sparsity)).equals(pruned(weight, sparsity))
    expect(answer(weight.double().reshape(2, 3, 7), 0.4)).equals(pruned(weight.double().reshape(2, 3, 7), 0.4))


@exercise("prune_by_magnitude")
def test_lets_equal_magnitudes_go_in_order(answer, rng):
    weight = torch.tensor([[2.0, -1.0, 1.0], [1.0, -1.0, 3.0], [-1.0, 1.0, -2.0]])
    for sparsity in (0.2, 0.5, 0.7):  # 2, 4 (of 4.5, halves go to the even number) and 6
        expect(answer(weight, sparsity)).equals(pruned(weight, sparsity))
    weight = torch.from_numpy(rng.choice([-2.0, -1.0, 1.0, 2.0], size=(40, 50))).float()
    expect(answer(weight, 0.3)).equals(pruned(weight, 0.3))


@exercise("prune_by_magnitude")
def test_prunes_nothing_or_everything(answer, rng):
    weight = torch.from_numpy(rng.normal(size=(3, 5))).float()
    expect(answer(weight, 0.0)).equals(weight)
    expect(answer(weight, 1.0)).equals(torch.zeros(3, 5))
    expect(answer(weight.T, 0.4), "the transpose, pruned").equals(pruned(weight.T, 0.4))


@exercise("prune_by_magnitude")
def test_refuses_shares_that_are_none(answer):
    for sparsity in (-0.1, 1.5, 40.0):
        with expect.raises(ValueError, naming=sparsity):
            answer(torch.ones(2, 2), sparsity)


def pruned(weight, sparsity):
    flat = weight.contiguous().numpy().copy().reshape(-1)
    order = sorted(range(flat.size), key=lambda index: (abs(flat[index]), index))
    flat[order[: round(sparsity * flat.size)]] = 0
    return torch.from_numpy(flat.reshape(weight.shape))


# ── distillation_loss ───────────────────────────────────────────────────────────────────────────────────────────


@exercise("distillation_loss", points=2, minutes=7, stretch=True)
def test_weighs_the_teacher_against_the_labels(answer, rng):
    student, teacher, labels = drawn_logits(rng)
    for arguments in ((), (3.0,), (2.0, 0.9), (1.0, 0.2), (4.0, 0.0), (5.0, 1.0)):
        expected = hinton(student, teacher, labels, *arguments)
        expect(answer(student, teacher, labels, *arguments)).has_shape().close_to(expected, atol=1e-5, rtol=1e-5)


@exercise("distillation_loss")
def test_is_finite_for_logits_far_apart(answer):
    student = torch.tensor([[300.0, -300.0, 0.0], [0.0, 500.0, -500.0]])
    teacher = torch.tensor([[-300.0, 300.0, 0.0], [800.0, 0.0, -800.0]])
    labels = torch.tensor([1, 2])
    expected = hinton(student, teacher, labels)
    expect(answer(student, teacher, labels)).has_shape().close_to(expected, atol=1e-2, rtol=1e-5)


@exercise("distillation_loss")
def test_teaches_the_student(answer, given, rng):
    student, teacher, labels = drawn_logits(rng)
    mine = student.clone().requires_grad_()
    hinton(mine, teacher, labels, 3.0, 0.7).backward()
    gradient = given(gradient_of, answer, student, teacher, labels, 3.0, 0.7)
    expect(gradient, "gradient of the student's logits").close_to(mine.grad, atol=1e-5, rtol=1e-4)


@exercise("distillation_loss")
def test_refuses_what_makes_no_loss(answer, rng):
    student, teacher, labels = drawn_logits(rng)
    for pair in ((student, teacher[:, :3]), (student[:, :3], teacher)):
        with expect.raises(ValueError, naming=(6, 3)):
            answer(*pair, labels)
    for temperature in (0.0, -2.0):
        with expect.raises(ValueError, naming=temperature):
            answer(student, teacher, labels, temperature)
    for alpha in (-0.5, 1.5):
        with expect.raises(ValueError, naming=alpha):
            answer(student, teacher, labels, 2.0, alpha)


def drawn_logits(rng):
    student, teacher = (torch.from_numpy(2 * rng.normal(size=(6, 4))).float() for _ in range(2))
    return student, teacher, torch.from_numpy(rng.integers(0, 4, size=6))


def hinton(student, teacher, labels, temperature=2.0, alpha=0.5):
    """The loss term by term, with its logarithms."""
    log_s, log_t = ((a / temperature) - (a / temperature).logsumexp(-1, keepdim=True) for a in (student, teacher))
    divergence = (log_t.exp() * (log_t - log_s)).sum(-1).mean()
    cross = (student.logsumexp(-1) - student.gather(-1, labels[:, None])[:, 0]).mean()
    return alpha * temperature**2 * divergence + (1 - alpha) * cross


# ── predict_mixed_precision ─────────────────────────────────────────────────────────────────────────────────────


@exercise("predict_mixed_precision", points=2, minutes=6, stretch=True)
def test_multiplies_in_bfloat16_and_keeps_norms_in_float32(answer, given):
    batch = tiny_batch(11)
    found = given(dtypes_inside, answer, given(tiny_classifier, 11), batch)
    after = given(inside_after, answer, given(tiny_classifier, 11), batch)
    answer(given(tiny_classifier, 11), batch)  # tells mistakes apart
    expect(found, "dtypes while it predicts").equals(MIXED)
    expect(after, "the model afterwards").equals(inside_of(tiny_classifier(11)))


@exercise("predict_mixed_precision")
def test_gives_logits_near_those_of_float32(answer, given):
    for seed in (12, 13):
        batch = tiny_batch(seed, rows=8)
        said = answer(given(tiny_classifier, seed), batch)
        # bfloat16 has 8 bits: 0.06 to 0.13 off in 20 classifiers, of logits that reach 2.4 to 5.5.
        expect(said).has_dtype(np.float32).close_to(logits(tiny_classifier(seed), batch), atol=0.25, rtol=0)
    expect(given(wants_gradient, answer, given(tiny_classifier, 12), tiny_batch(12)), "a gradient").equals(False)


@exercise("predict_mixed_precision", seconds=60)
def test_is_faster_than_float32(answer, given):
    from deepdive.assets import checkpoint

    found = given(dtypes_inside, answer, given(tiny_classifier, 11), tiny_batch(11))
    expect(found, "dtypes while it predicts").equals(MIXED)  # float16 on a CPU would take a quarter of a minute
    model, batch = given(classifier, checkpoint("sentiment")), real_batches()[0]
    agrees(answer(model, batch), logits(own_classifier(), batch), at_least=0.98)
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        raise NotApplicable("this processor has no instructions for bfloat16: it would only be emulated, and slow")

    def float32(model, batch):
        return logits(model, batch)

    # Medians of 9 pairs, 50 times each on an idle machine and on a busy one: the solution 1.74 to 1.82 and 1.29 to
    # 3.2; bfloat16 all through about the same, float32 1.
    expect(answer).faster_than(float32, on=lambda: (model, batch), at_least=1.2, atol=0.5, rtol=0)


MIXED = {"LayerNorm": ["float32"], "Linear": ["bfloat16"], "result": ["float32"]}


# ── mixed_precision_arguments ───────────────────────────────────────────────────────────────────────────────────


@exercise("mixed_precision_arguments", points=1, minutes=2, stretch=True)
def test_names_the_arguments_of_each_device(answer):
    for device, expected in (
        ("cuda", {"fp16": True}),
        ("cpu", {"bf16": True, "use_cpu": True}),
        ("mps", {}),
    ):
        expect(answer(device), f"for {device}").equals(expected)


@exercise("mixed_precision_arguments")
def test_refuses_other_devices(answer):
    for device in ("tpu", "", "cuda9"):
        with expect.raises(ValueError, naming=device):
            answer(device)
