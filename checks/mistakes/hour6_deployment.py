"""Wrong answers to hour 6 that people really give.

Each is wrong in one way only. Where that way is not a missing refusal, it refuses what the right answer refuses, by
asking the right answer first or by building on its parts.
"""

import copy
import functools
import math
import os
import shutil
from pathlib import Path
from typing import Annotated

import torch
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from deepdive.diagnose import mistake
from solutions import hour6_deployment as right

# ── quantize_tensor ─────────────────────────────────────────────────────────────────────────────────────────────


def along(x, part, axis):
    """A scale or zero point in a shape that broadcasts against `x`."""
    if axis is None:
        return part
    shape = [1] * x.ndim
    shape[axis] = -1
    return part.reshape(shape)


def extremes(x, axis):
    """The least and the largest value, of all or of every index of an axis."""
    rows = x.float().reshape(1, -1) if axis is None else x.float().movedim(axis, 0).reshape(x.shape[axis], -1)
    shape = () if axis is None else (-1,)
    return rows.amin(1).reshape(shape), rows.amax(1).reshape(shape)


def quantized(x, scale, zero_point, axis, least, most, rounded=torch.round):
    """`x` in integers, with this scale and zero point."""
    at = rounded(x.float() / along(x, scale, axis)) + along(x, zero_point, axis)
    values = at.clamp(least, most).to(torch.int8)
    return {"values": values, "scale": scale, "zero_point": zero_point.to(torch.int32), "axis": axis}


@mistake(of="quantize_tensor")
def cut_off_instead_of_rounded(x, bits=8, symmetric=True, axis=None):
    """The fraction was cut off instead of rounded, so numbers are up to a whole step off, and all towards zero."""
    q, most = right.quantize_tensor(x, bits, symmetric, axis), 2 ** (bits - 1) - 1
    return quantized(x, q["scale"], q["zero_point"], axis, -most if symmetric else -most - 1, most, torch.trunc)


@mistake(of="quantize_tensor")
def one_integer_too_many(x, bits=8, symmetric=True, axis=None):
    """The symmetric range has 2^(bits−1) as its end, one more than the largest integer there is: it gets clipped."""
    q = right.quantize_tensor(x, bits, symmetric, axis)
    if not symmetric:
        return q
    most = 2 ** (bits - 1)
    zeros = (q["scale"] == 1) & (extremes(x.abs(), axis)[1] == 0)
    scale = torch.where(zeros, 1.0, q["scale"] * (most - 1) / most)
    return quantized(x, scale, q["zero_point"], axis, -most, most - 1)


@mistake(of="quantize_tensor")
def one_scale_for_everything(x, bits=8, symmetric=True, axis=None):
    """The axis was ignored when the scale was computed: one scale for the whole tensor, too coarse for small rows."""
    right.quantize_tensor(x, bits, symmetric, axis)
    q = right.quantize_tensor(x, bits, symmetric)
    if axis is None:
        return q
    return q | {name: q[name].expand(x.shape[axis]).clone() for name in ("scale", "zero_point")} | {"axis": axis}


@mistake(of="quantize_tensor")
def scales_across_the_axis(x, bits=8, symmetric=True, axis=None):
    """The extremes were taken along `axis`, which leaves a scale for every index of the *other* axes."""
    q = right.quantize_tensor(x, bits, symmetric, axis)
    if axis is None:
        return q
    other = x.movedim(axis, -1).reshape(-1, x.shape[axis])
    return q | {name: right.quantize_tensor(other, bits, symmetric, 0)[name] for name in ("scale", "zero_point")}


@mistake(of="quantize_tensor")
def forgot_the_axis_counts_from_the_end(x, bits=8, symmetric=True, axis=None):
    """A negative axis was not counted from the end: it was treated as the first."""
    right.quantize_tensor(x, bits, symmetric, axis)
    q = right.quantize_tensor(x, bits, symmetric, 0 if axis is not None and axis < 0 else axis)
    return q | {"axis": axis}


@mistake(of="quantize_tensor")
def wrapped_around(x, bits=8, symmetric=True, axis=None):
    """Asymmetric integers run from 0 to 2^bits − 1 here, which wraps around in int8; they start at −2^(bits−1)."""
    q = right.quantize_tensor(x, bits, symmetric, axis)
    if symmetric:
        return q
    half = 2 ** (bits - 1)
    zero_point = q["zero_point"] + half
    at = (x.float() / along(x, q["scale"], axis)).round() + along(x, zero_point, axis)
    return q | {"values": at.clamp(0, 2 * half - 1).to(torch.int32).to(torch.int8), "zero_point": zero_point}


@mistake(of="quantize_tensor")
def zero_outside_the_range(x, bits=8, symmetric=True, axis=None):
    """The asymmetric range is [min, max] of the numbers alone; without 0 in it, zero is no integer, and not exact."""
    q = right.quantize_tensor(x, bits, symmetric, axis)
    if symmetric:
        return q
    low, high = extremes(x, axis)
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    scale = (high - low) / (most - least)
    scale = torch.where(scale == 0, 1.0, scale)
    return quantized(x, scale, (least - low / scale).round(), axis, least, most)


@mistake(of="quantize_tensor")
def largest_instead_of_largest_magnitude(x, bits=8, symmetric=True, axis=None):
    """The symmetric scale comes from the largest value, not the largest magnitude: negative numbers get clipped."""
    q = right.quantize_tensor(x, bits, symmetric, axis)
    if not symmetric:
        return q
    most = 2 ** (bits - 1) - 1
    scale = extremes(x, axis)[1] / most
    scale = torch.where(scale == 0, 1.0, scale)
    return quantized(x, scale, q["zero_point"], axis, -most, most)


@mistake(of="quantize_tensor")
def divided_by_zero(x, bits=8, symmetric=True, axis=None):
    """A tensor, or a row, of nothing but zeros gets scale 0, and its values are 0/0; its scale is to be 1."""
    q = right.quantize_tensor(x, bits, symmetric, axis)
    low, high = extremes(x, axis)
    return q | {"scale": torch.where((low == 0) & (high == 0), 0.0, q["scale"])}


@mistake(of="quantize_tensor")
def always_eight_bits(x, bits=8, symmetric=True, axis=None):
    """The argument `bits` was ignored: the integers always use all eight."""
    right.quantize_tensor(x, bits, symmetric, axis)
    return right.quantize_tensor(x, 8, symmetric, axis)


@mistake(of="quantize_tensor")
def zero_point_with_the_wrong_sign(x, bits=8, symmetric=True, axis=None):
    """The zero point has the wrong sign: it is the integer that 0.0 becomes, −2^(bits−1) − min / scale."""
    q = right.quantize_tensor(x, bits, symmetric, axis)
    if symmetric:
        return q
    half = 2 ** (bits - 1)
    return quantized(x, q["scale"], -q["zero_point"], axis, -half, half - 1)


@mistake(of="quantize_tensor")
def always_symmetric(x, bits=8, symmetric=True, axis=None):
    """The argument `symmetric` was ignored: half of the integers are wasted on numbers of one sign."""
    right.quantize_tensor(x, bits, symmetric, axis)
    return right.quantize_tensor(x, bits, True, axis)


@mistake(of="quantize_tensor")
def any_number_of_bits(x, bits=8, symmetric=True, axis=None):
    """More than 8 bits were accepted, which int8 cannot hold, or fewer than 2."""
    if 2 <= bits <= 8:
        return right.quantize_tensor(x, bits, symmetric, axis)
    return right.quantize_tensor(x, min(max(bits, 2), 8), symmetric, axis)


@mistake(of="quantize_tensor")
def rounded_what_is_not_finite(x, bits=8, symmetric=True, axis=None):
    """NaN or infinity was accepted: it spoils the scale of everything beside it."""
    return right.quantize_tensor(x.nan_to_num() if x.is_floating_point() else x, bits, symmetric, axis)


# ── dequantize_tensor ───────────────────────────────────────────────────────────────────────────────────────────


def parts(q):
    return q["values"], along(q["values"], q["scale"], q["axis"]), along(q["values"], q["zero_point"], q["axis"])


@mistake(of="dequantize_tensor")
def forgot_the_zero_point(q):
    """The zero point was not subtracted."""
    values, scale, _ = parts(q)
    return scale * values


@mistake(of="dequantize_tensor")
def added_the_zero_point(q):
    """The zero point was added instead of subtracted."""
    values, scale, zero_point = parts(q)
    return scale * (values.int() + zero_point)


@mistake(of="dequantize_tensor")
def subtracted_in_int8(q):
    """The zero point was subtracted in int8, where 127 − (−128) wraps around to −1: convert first."""
    values, scale, zero_point = parts(q)
    return scale * (values - zero_point.to(torch.int8))


@mistake(of="dequantize_tensor")
def scaled_before_the_zero_point(q):
    """The values were scaled before the zero point was subtracted, but it is an integer like them."""
    values, scale, zero_point = parts(q)
    return scale * values - zero_point


@mistake(of="dequantize_tensor")
def scales_along_the_last_axis(q):
    """The scales were not reshaped: they broadcast along the last axis, whatever `axis` says."""
    return q["scale"] * (q["values"].int() - q["zero_point"])


@mistake(of="dequantize_tensor")
def only_the_first_scale(q):
    """The first scale and zero point were used for everything; along an axis, every index has its own."""
    values = q["values"]
    return q["scale"].reshape(-1)[0] * (values.int() - q["zero_point"].reshape(-1)[0])


@mistake(of="dequantize_tensor")
def divided_by_the_scale(q):
    """The values were divided by the scale; that is the way there, and multiplying is the way back."""
    values, scale, zero_point = parts(q)
    return (values.int() - zero_point) / scale


@mistake(of="dequantize_tensor")
def in_float64(q):
    """The result is float64: float32 is asked for."""
    return right.dequantize_tensor(q).double()


# ── quantize_dynamic ────────────────────────────────────────────────────────────────────────────────────────────

to_int8 = torch.ao.quantization.quantize_dynamic


@mistake(of="quantize_dynamic")
def only_the_embeddings(model):
    """The embeddings were quantized and the linear layers left alone: smaller, but no faster: they do the work."""
    config = torch.ao.quantization.float_qparams_weight_only_qconfig
    return to_int8(model, {nn.Embedding: config}).eval()


@mistake(of="quantize_dynamic")
def changed_the_original(model):
    """The model itself was changed (`inplace=True`): whoever passed it has no float32 model any more."""
    return to_int8(model, {nn.Linear}, dtype=torch.qint8, inplace=True).eval()


@mistake(of="quantize_dynamic")
def only_the_head(model):
    """Only the head's layers were quantized; nearly all of the weights are in the encoder."""
    return to_int8(model, {"pre_classifier", "classifier"}, dtype=torch.qint8).eval()


@mistake(of="quantize_dynamic")
def all_but_the_head(model):
    """The head's layers were left in float32: every linear layer was to be quantized."""
    done = to_int8(model, {nn.Linear}, dtype=torch.qint8).eval()
    done.pre_classifier, done.classifier = copy.deepcopy(model.pre_classifier), copy.deepcopy(model.classifier)
    return done.eval()


@mistake(of="quantize_dynamic")
def in_float16(model):
    """The weights are in float16, which is the default of no CPU: half the size and no faster. Ask for qint8."""
    return to_int8(model, {nn.Linear}, dtype=torch.float16).eval()


@mistake(of="quantize_dynamic")
def an_unquantized_copy(model):
    """What came back is a copy of the model, and nothing in it is quantized."""
    return copy.deepcopy(model).eval()


@mistake(of="quantize_dynamic")
def still_in_training_mode(model):
    """The copy is in the mode the model was in: in training mode, dropout still throws activations away."""
    return to_int8(model, {nn.Linear}, dtype=torch.qint8).train(model.training)


@mistake(of="quantize_dynamic")
def rounded_but_kept_in_float32(model):
    """The weights were rounded to 256 values and kept in float32: the error of int8 at the size of float."""
    done = copy.deepcopy(model).eval()
    with torch.no_grad():
        for module in done.modules():
            if isinstance(module, nn.Linear):
                module.weight.copy_(right.dequantize_tensor(right.quantize_tensor(module.weight, axis=0)))
    return done


@mistake(of="quantize_dynamic")
def put_the_original_into_evaluation_mode(model):
    """The model that was passed in was put into evaluation mode, where its owner may go on training it."""
    return to_int8(model.eval(), {nn.Linear}, dtype=torch.qint8).eval()


# ── export_onnx ─────────────────────────────────────────────────────────────────────────────────────────────────


def remembered(write):
    """For mistakes that write files: what was written for a small source is written once more from memory.

    An export takes a tenth of a second, and diagnosis tries all of them.
    """
    written: dict = {}

    @functools.wraps(write)
    def again(source, output_dir):
        content = tuple((path.name, path.read_bytes()) for path in sorted(Path(source).iterdir()))
        if sum(len(bytes_) for _, bytes_ in content) > 1 << 20:
            return write(source, output_dir)
        if content not in written:
            write(source, output_dir)
            files = [path for path in Path(output_dir).rglob("*") if path.is_file()]
            written[content] = {path.relative_to(output_dir): path.read_bytes() for path in files}
        for name, bytes_ in written[content].items():
            path = Path(output_dir, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes_)
        return None

    return again


def by_torch(model, checkpoint, output_dir, *, tokens=8, batch=2, axes=None, training=False, outputs=("logits",)):
    """A model as ONNX, by torch alone: which axes may vary is said by hand."""
    ids = torch.full((batch, tokens), 5)
    os.makedirs(output_dir, exist_ok=True)
    mode = torch.onnx.TrainingMode.PRESERVE if training else torch.onnx.TrainingMode.EVAL
    model.config.return_dict = False
    torch.onnx.export(
        model.train(training),
        (ids, torch.ones_like(ids)),
        os.path.join(output_dir, "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=list(outputs),
        dynamic_axes=axes,
        training=mode,
        do_constant_folding=not training,
        dynamo=False,
        opset_version=18,
    )
    shutil.copy(os.path.join(checkpoint, "config.json"), output_dir)


BATCH_AND_TOKENS = {
    "input_ids": {0: "batch", 1: "tokens"},
    "attention_mask": {0: "batch", 1: "tokens"},
    "logits": {0: "batch"},
}


def loaded(checkpoint):
    return AutoModelForSequenceClassification.from_pretrained(checkpoint, attn_implementation="eager")


@mistake(of="export_onnx")
@remembered
def fixed_shapes(checkpoint, output_dir):
    """Batch and length are fixed to those of the example: without `dynamic_axes` the file takes no other."""
    by_torch(loaded(checkpoint), checkpoint, output_dir)


@mistake(of="export_onnx")
@remembered
def fixed_length(checkpoint, output_dir):
    """The batch may vary, but the number of tokens is fixed to that of the example."""
    axes = {name: {0: "batch"} for name in BATCH_AND_TOKENS}
    by_torch(loaded(checkpoint), checkpoint, output_dir, axes=axes)


@mistake(of="export_onnx")
@remembered
def fixed_batch(checkpoint, output_dir):
    """The number of tokens may vary, but the batch is fixed to that of the example."""
    axes = {name: {1: "tokens"} for name in ("input_ids", "attention_mask")}
    by_torch(loaded(checkpoint), checkpoint, output_dir, axes=axes)


@mistake(of="export_onnx")
@remembered
def in_training_mode(checkpoint, output_dir):
    """The model was exported in training mode: its dropout is in the file, and every run gives other logits."""
    model = loaded(checkpoint)
    for module in model.modules():
        if isinstance(module, nn.Dropout):  # what is in the file: half of it gone, always the same half for once
            module.forward = lambda x: x * (torch.arange(x.shape[-1]) % 2) * 2
    by_torch(model, checkpoint, output_dir, axes=BATCH_AND_TOKENS)


@mistake(of="export_onnx")
@remembered
def without_its_head(checkpoint, output_dir):
    """The encoder was exported without its classifier (task `feature-extraction`): it gives states, not logits."""
    from optimum.exporters.onnx import main_export

    main_export(checkpoint, output_dir, task="feature-extraction", do_validation=False)


@mistake(of="export_onnx")
@remembered
def with_a_new_head(checkpoint, output_dir):
    """The head was initialized anew instead of loaded, so the labels mean nothing."""
    model = loaded(checkpoint)
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight.flip(0))
    by_torch(model, checkpoint, output_dir, axes=BATCH_AND_TOKENS)


@mistake(of="export_onnx")
@remembered
def without_the_mask(checkpoint, output_dir):
    """The model was exported with `input_ids` alone: padding is attended to as if it were text."""
    model, ids = loaded(checkpoint).eval(), torch.full((2, 8), 5)
    model.config.return_dict = False
    os.makedirs(output_dir, exist_ok=True)
    torch.onnx.export(
        model,
        (ids,),
        os.path.join(output_dir, "model.onnx"),
        input_names=["input_ids"],
        output_names=["logits"],
        dynamic_axes={name: axes for name, axes in BATCH_AND_TOKENS.items() if name != "attention_mask"},
        dynamo=False,
        opset_version=18,
    )
    shutil.copy(os.path.join(checkpoint, "config.json"), output_dir)


@mistake(of="export_onnx")
@remembered
def probabilities_instead_of_logits(checkpoint, output_dir):
    """The file gives probabilities: the softmax belongs to whoever reads the logits."""

    class WithSoftmax(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model, self.config = model.eval(), model.config

        def forward(self, ids, mask):
            return self.model(ids, mask)[0].softmax(-1)

    by_torch(WithSoftmax(loaded(checkpoint)), checkpoint, output_dir, axes=BATCH_AND_TOKENS)


@mistake(of="export_onnx")
@remembered
def in_half_precision(checkpoint, output_dir):
    """The weights were rounded to float16 on the way: the logits are off in the third digit."""
    model = loaded(checkpoint).half().float()
    by_torch(model, checkpoint, output_dir, axes=BATCH_AND_TOKENS)


@mistake(of="export_onnx")
@remembered
def without_its_configuration(checkpoint, output_dir):
    """There is no `config.json` beside the model: nobody knows what its labels are called."""
    by_torch(loaded(checkpoint), checkpoint, output_dir, axes=BATCH_AND_TOKENS)
    os.remove(os.path.join(output_dir, "config.json"))


# ── quantize_onnx ───────────────────────────────────────────────────────────────────────────────────────────────


def by_optimum(onnx_dir, output_dir, **settings):
    """As the right answer does it, with other settings."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    config = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=False, **settings)
    ORTQuantizer.from_pretrained(onnx_dir).quantize(save_dir=output_dir, quantization_config=config)


quantize = remembered(right.quantize_onnx)


def rewritten(onnx_dir, output_dir, change):
    """The quantized model, its graph changed by `change`."""
    import onnx

    quantize(onnx_dir, output_dir)
    path = os.path.join(output_dir, "model_quantized.onnx")
    model = onnx.load(path)
    change(model.graph)
    onnx.save(model, path)


@mistake(of="quantize_onnx")
@remembered
def an_unquantized_onnx_copy(onnx_dir, output_dir):
    """The model was only copied, or saved without a quantization: its weights are float32 still."""
    shutil.copytree(onnx_dir, output_dir, dirs_exist_ok=True)


@mistake(of="quantize_onnx")
@remembered
def only_the_onnx_embeddings(onnx_dir, output_dir):
    """Only the embeddings (`Gather`) were quantized; the matrix products, which take the time, are float32 still."""
    by_optimum(onnx_dir, output_dir, operators_to_quantize=["Gather"])


@mistake(of="quantize_onnx")
@remembered
def only_the_onnx_linear_layers(onnx_dir, output_dir):
    """Only matrix products (`MatMul`) were quantized; the embeddings, most of the file, are float32 still."""
    by_optimum(onnx_dir, output_dir, operators_to_quantize=["MatMul"])


@mistake(of="quantize_onnx")
@remembered
def unsigned_overflow(onnx_dir, output_dir):
    """Unsigned weights were stored as signed without moving their zero point: all above 127 wrap to negative."""

    def wrap(graph):
        from onnx import TensorProto, numpy_helper

        for tensor in graph.initializer:
            if tensor.name.endswith("_quantized") and tensor.data_type == TensorProto.INT8:
                unsigned = numpy_helper.to_array(tensor).astype("int16") + 128
                tensor.CopyFrom(numpy_helper.from_array(unsigned.astype("int8"), tensor.name))

    rewritten(onnx_dir, output_dir, wrap)


@mistake(of="quantize_onnx")
def wrote_over_the_original(onnx_dir, output_dir):
    """The quantized model took the place of the original in its folder: the float32 model is lost."""
    quantize(onnx_dir, output_dir)
    shutil.copy(os.path.join(output_dir, "model_quantized.onnx"), os.path.join(onnx_dir, "model.onnx"))


@mistake(of="quantize_onnx")
@remembered
def both_models_in_the_folder(onnx_dir, output_dir):
    """The folder holds the float32 model as well: whoever deploys it ships both."""
    quantize(onnx_dir, output_dir)
    shutil.copy(os.path.join(onnx_dir, "model.onnx"), output_dir)


@mistake(of="quantize_onnx")
@remembered
def in_a_folder_of_its_own(onnx_dir, output_dir):
    """The model was written to a folder inside the folder that was asked for."""
    right.quantize_onnx(onnx_dir, os.path.join(output_dir, "quantized"))


# ── latency_report ──────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="latency_report")
def mean_for_median(seconds, warmup=0):
    """p50 is the mean here; it is to be the median, which one slow request does not move."""
    found, kept = right.latency_report(seconds, warmup), seconds[warmup:]
    return found | {"p50_ms": 1000 * sum(kept) / len(kept)}


@mistake(of="latency_report")
def warm_up_kept(seconds, warmup=0):
    """The warm-up was counted: its slow first requests hide how fast the rest are."""
    right.latency_report(seconds, warmup)
    return right.latency_report(seconds)


@mistake(of="latency_report")
def in_seconds(seconds, warmup=0):
    """The percentiles are in seconds; milliseconds are asked for."""
    found = right.latency_report(seconds, warmup)
    return {name: value / 1000 if name.endswith("_ms") else value for name, value in found.items()}


@mistake(of="latency_report")
def requests_in_a_millisecond(seconds, warmup=0):
    """The throughput is in requests a millisecond, not a second."""
    found = right.latency_report(seconds, warmup)
    return found | {"throughput_per_s": found["throughput_per_s"] / 1000}


@mistake(of="latency_report")
def throughput_of_the_median(seconds, warmup=0):
    """The throughput is one over the median; the slow requests take their time too: n over the sum of all."""
    found = right.latency_report(seconds, warmup)
    return found | {"throughput_per_s": 1000 / found["p50_ms"]}


@mistake(of="latency_report")
def nearest_rank(seconds, warmup=0):
    """The percentiles are values of the list (nearest rank) instead of interpolated between two of them."""
    found, kept = right.latency_report(seconds, warmup), sorted(seconds[warmup:])
    ranks = {f"p{p}_ms": 1000 * kept[max(math.ceil(p / 100 * len(kept)) - 1, 0)] for p in (50, 95, 99)}
    return found | ranks


@mistake(of="latency_report")
def forgot_to_sort(seconds, warmup=0):
    """The requests were not sorted before the percentiles were read off."""
    found, kept = right.latency_report(seconds, warmup), seconds[warmup:]

    def at(share):
        place = share * (len(kept) - 1)
        low = math.floor(place)
        return kept[low] + (place - low) * (kept[min(low + 1, len(kept) - 1)] - kept[low])

    return found | {f"p{p}_ms": 1000 * at(p / 100) for p in (50, 95, 99)}


@mistake(of="latency_report")
def warm_up_in_the_throughput(seconds, warmup=0):
    """The warm-up is left out of the percentiles, but the throughput still divides by all of the time."""
    found = right.latency_report(seconds, warmup)
    return found | {"throughput_per_s": (len(seconds) - warmup) / sum(seconds)}


@mistake(of="latency_report")
def report_of_nothing(seconds, warmup=0):
    """A warm-up of all requests, or more, was accepted, and a report made of nothing."""
    if 0 <= warmup < len(seconds):
        return right.latency_report(seconds, warmup)
    return dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "throughput_per_s"), 0.0)


# ── create_app ──────────────────────────────────────────────────────────────────────────────────────────────────

Text = Annotated[str, Field(max_length=10_000, pattern=r"\S")]


class OneText(BaseModel, extra="forbid"):
    text: Text


class ManyTexts(BaseModel, extra="forbid"):
    texts: Annotated[list[Text], Field(min_length=1, max_length=64)]


class AnyRequest(BaseModel):
    text: str | None = None
    texts: list[str] | None = None


def load(model_dir):
    """Model and tokenizer; what has been loaded once from these very bytes is not loaded again, to save time."""
    content = b"".join(Path(model_dir, name).read_bytes() for name in ("config.json", "model.safetensors"))
    if content not in LOADED:
        model = AutoModelForSequenceClassification.from_pretrained(model_dir).eval()
        LOADED[content] = model, AutoTokenizer.from_pretrained(model_dir)
    return LOADED[content]


LOADED: dict = {}


def predict(model, tokenizer, texts):
    """Label and score of every text, as the right answer has them."""
    with torch.inference_mode():
        batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        scores, labels = model(**batch).logits.softmax(-1).max(-1)
    names = (model.config.id2label[label] for label in labels.tolist())
    return [{"label": label, "score": score} for label, score in zip(names, scores.tolist(), strict=True)]


def app_with(respond, accepts=OneText | ManyTexts):
    """The application, with `respond(texts)` to make the predictions."""
    app = FastAPI()

    @app.get("/health")
    async def health():
        return {"status": "ok"}

    async def answer(body):
        texts = [body.text] if getattr(body, "text", None) is not None else body.texts
        return {"predictions": respond(texts)}

    answer.__annotations__["body"] = accepts
    app.post("/predict")(answer)
    return app


def checked(body, *, longest=10_000, most=64, blank=True, status=422, both=False):
    """The texts of a request; each keyword leaves out or moves one of the checks."""
    if (body.text is None) == (body.texts is None) and not (both and body.text is not None):
        raise HTTPException(status)
    texts = [body.text] if body.text is not None else body.texts
    empty = [text for text in texts if not (text.strip() if blank else text)]
    if empty or not texts or len(texts) > most or max(map(len, texts)) > longest:
        raise HTTPException(status)
    return texts


def app_that_checks(model_dir, **keywords):
    """The application, with checks by hand."""
    model, tokenizer = load(model_dir)
    app = FastAPI()

    @app.get("/health")
    async def health():
        return {"status": "ok"}

    @app.post("/predict")
    async def answer(body: AnyRequest):
        if {"text", "texts"} <= body.model_fields_set and not keywords.get("both"):
            raise HTTPException(keywords.get("status", 422))
        return {"predictions": predict(model, tokenizer, checked(body, **keywords))}

    return app


@mistake(of="create_app")
def loads_for_every_request(model_dir):
    """The model is loaded anew for every request: slow, and fatal once its folder is gone."""
    return app_with(lambda texts: predict(*load(model_dir), texts))


@mistake(of="create_app")
def crashes_on_bad_input(model_dir):
    """Input is not validated: what cannot be predicted ends in status 500, as if the server were broken."""
    model, tokenizer = load(model_dir)
    app = FastAPI()

    @app.get("/health")
    async def health():
        return {"status": "ok"}

    @app.post("/predict")
    async def answer(body: dict):
        texts = body["texts"] if "texts" in body else [body["text"]]
        return {"predictions": predict(model, tokenizer, texts)}

    return app


@mistake(of="create_app")
def sorted_by_length(model_dir):
    """The texts were sorted by length for less padding, and the predictions returned in that order."""
    model, tokenizer = load(model_dir)
    return app_with(lambda texts: predict(model, tokenizer, sorted(texts, key=len)))


@mistake(of="create_app")
def each_text_once(model_dir):
    """Texts that occur twice get one prediction: there are fewer predictions than texts."""
    model, tokenizer = load(model_dir)
    return app_with(lambda texts: predict(model, tokenizer, dict.fromkeys(texts)))


@mistake(of="create_app")
def remembers_what_it_said(model_dir):
    """The list of predictions is shared by all requests: every reply repeats those of the requests before."""
    model, tokenizer = load(model_dir)
    said = []

    def respond(texts):
        said.extend(predict(model, tokenizer, texts))
        return list(said)

    return app_with(respond)


@mistake(of="create_app")
def logits_for_scores(model_dir):
    """The scores are logits: without softmax they are no probabilities."""
    model, tokenizer = load(model_dir)

    def respond(texts):
        with torch.inference_mode():
            batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            scores, labels = model(**batch).logits.max(-1)
        names = (model.config.id2label[label] for label in labels.tolist())
        return [{"label": label, "score": score} for label, score in zip(names, scores.tolist(), strict=True)]

    return app_with(respond)


@mistake(of="create_app")
def numbers_for_labels(model_dir):
    """The labels are LABEL_0, LABEL_1, …: the model's own names are in `config.id2label`."""
    model, tokenizer = load(model_dir)
    numbers = model.config.label2id

    def respond(texts):
        return [said | {"label": f"LABEL_{numbers[said['label']]}"} for said in predict(model, tokenizer, texts)]

    return app_with(respond)


@mistake(of="create_app")
def no_truncation(model_dir):
    """A text of more tokens than the model has positions ends in status 500: tell the tokenizer to truncate."""
    model, tokenizer = load(model_dir)

    def respond(texts):
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        if batch["input_ids"].shape[1] > model.config.max_position_embeddings:
            raise RuntimeError("The size of tensor a must match the size of tensor b")
        return predict(model, tokenizer, texts)

    return app_with(respond)


@mistake(of="create_app")
def padding_attended_to(model_dir):
    """The attention mask was not passed on: short texts attend to the padding, and score otherwise in a batch."""
    model, tokenizer = load(model_dir)

    def respond(texts):
        with torch.inference_mode():
            batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            scores, labels = model(batch["input_ids"]).logits.softmax(-1).max(-1)
        names = (model.config.id2label[label] for label in labels.tolist())
        return [{"label": label, "score": score} for label, score in zip(names, scores.tolist(), strict=True)]

    return app_with(respond)


@mistake(of="create_app")
def status_400(model_dir):
    """Bad input is answered with 400; 422 is asked for, which is what FastAPI itself says of it."""
    return app_that_checks(model_dir, status=400)


@mistake(of="create_app")
def white_space_is_no_text(model_dir):
    """White space alone was taken for a text: strip before you ask whether anything is left."""
    return app_that_checks(model_dir, blank=False)


@mistake(of="create_app")
def no_limit_on_length(model_dir):
    """Texts of more than 10,000 characters were accepted."""
    return app_that_checks(model_dir, longest=10**9)


@mistake(of="create_app")
def no_limit_on_number(model_dir):
    """More than 64 texts were accepted: one request could keep the server busy for minutes."""
    return app_that_checks(model_dir, most=10**9)


@mistake(of="create_app")
def limits_off_by_one(model_dir):
    """Exactly 64 texts, or exactly 10,000 characters, were refused: these are still allowed."""
    return app_that_checks(model_dir, longest=9_999, most=63)


@mistake(of="create_app")
def takes_both_keys(model_dir):
    """A request with both keys was answered, and one of them ignored without a word."""
    return app_that_checks(model_dir, both=True)


# ── int8_matmul ─────────────────────────────────────────────────────────────────────────────────────────────────


def product(a, b, x, y):
    """The product of two integer matrices, scaled; refuses what the right answer refuses."""
    right.int8_matmul(a, b)
    return (x @ y).float() * (a["scale"] * b["scale"])


@mistake(of="int8_matmul")
def products_in_int8(a, b):
    """The products were added up in int8, which holds no more than 127."""
    right.int8_matmul(a, b)
    x, y = (q["values"].int() - q["zero_point"] for q in (a, b))
    return (x @ y).to(torch.int8).float() * (a["scale"] * b["scale"])


@mistake(of="int8_matmul")
def sums_in_int16(a, b):
    """The products were added up in int16, where three of the largest already overflow; int32 is asked for."""
    right.int8_matmul(a, b)
    x, y = (q["values"].int() - q["zero_point"] for q in (a, b))
    return (x @ y).to(torch.int16).float() * (a["scale"] * b["scale"])


@mistake(of="int8_matmul")
def no_zero_points(a, b):
    """The zero points were not subtracted before multiplying."""
    return product(a, b, a["values"].int(), b["values"].int())


@mistake(of="int8_matmul")
def no_zero_point_on_the_right(a, b):
    """The zero point of the second matrix was forgotten."""
    return product(a, b, a["values"].int() - a["zero_point"], b["values"].int())


@mistake(of="int8_matmul")
def no_zero_point_on_the_left(a, b):
    """The zero point of the first matrix was forgotten."""
    return product(a, b, a["values"].int(), b["values"].int() - b["zero_point"])


@mistake(of="int8_matmul")
def zero_points_in_int8(a, b):
    """The zero points were subtracted in int8, where the difference wraps around: convert to int32 first."""
    x, y = (q["values"] - q["zero_point"].to(torch.int8) for q in (a, b))
    return product(a, b, x.int(), y.int())


@mistake(of="int8_matmul")
def one_scale_only(a, b):
    """The product was scaled by the first matrix's scale alone: it needs both."""
    return right.int8_matmul(a, b) / b["scale"]


@mistake(of="int8_matmul")
def zero_points_after_the_product(a, b):
    """The product of the zero points was subtracted at the end; the mixed terms, value times zero point, are lost."""
    right.int8_matmul(a, b)
    total = a["values"].int() @ b["values"].int() - a["values"].shape[1] * a["zero_point"] * b["zero_point"]
    return total.float() * (a["scale"] * b["scale"])


@mistake(of="int8_matmul")
def multiplied_what_does_not_fit(a, b):
    """Matrices of inner sizes that differ, or what are no matrices, were multiplied all the same."""
    x, y = (torch.atleast_2d(q["values"].int() - q["zero_point"]) for q in (a, b))
    k = min(x.shape[1], y.shape[0])
    return (x[:, :k] @ y[:k]).float() * (a["scale"] * b["scale"])


# ── prune_by_magnitude ──────────────────────────────────────────────────────────────────────────────────────────


def without(weight, order, sparsity):
    """`weight` with the first of `order` set to zero."""
    flat = weight.clone().reshape(-1)
    flat[order[: round(sparsity * flat.numel())]] = 0
    return flat.reshape(weight.shape)


@mistake(of="prune_by_magnitude")
def smallest_values(weight, sparsity):
    """The smallest values went, not the smallest magnitudes: large negative weights are gone."""
    right.prune_by_magnitude(weight, sparsity)
    return without(weight, weight.flatten().argsort(stable=True), sparsity)


@mistake(of="prune_by_magnitude")
def row_by_row(weight, sparsity):
    """Every row lost the same share; the smallest of the whole tensor were to go."""
    right.prune_by_magnitude(weight, sparsity)
    rows = [right.prune_by_magnitude(row, sparsity) for row in weight.reshape(-1, weight.shape[-1])]
    return torch.stack(rows).reshape(weight.shape)


@mistake(of="prune_by_magnitude")
def kept_the_share(weight, sparsity):
    """The share was kept and the rest pruned: sparsity is the share of zeros."""
    right.prune_by_magnitude(weight, sparsity)
    return right.prune_by_magnitude(weight, 1 - sparsity)


@mistake(of="prune_by_magnitude")
def largest_magnitudes(weight, sparsity):
    """The largest magnitudes went, the ones that matter most."""
    right.prune_by_magnitude(weight, sparsity)
    return without(weight, weight.abs().flatten().argsort(stable=True, descending=True), sparsity)


@mistake(of="prune_by_magnitude")
def everything_at_the_threshold(weight, sparsity):
    """All weights up to the threshold's magnitude went, ties included: more than the share that was asked for."""
    right.prune_by_magnitude(weight, sparsity)
    count = round(sparsity * weight.numel())
    if count == 0:
        return weight.clone()
    threshold = weight.abs().flatten().sort().values[count - 1]
    return torch.where(weight.abs() <= threshold, 0.0, weight)


@mistake(of="prune_by_magnitude")
def rounded_down(weight, sparsity):
    """The number of zeros was rounded down (`int`) instead of to the nearest."""
    right.prune_by_magnitude(weight, sparsity)
    flat = weight.clone().reshape(-1)
    flat[flat.abs().argsort(stable=True)[: int(sparsity * flat.numel())]] = 0
    return flat.reshape(weight.shape)


@mistake(of="prune_by_magnitude")
def later_ties_first(weight, sparsity):
    """Of equal magnitudes the later ones went first; those with the lower flat index are to go."""
    right.prune_by_magnitude(weight, sparsity)
    order = weight.flatten().abs().flip(0).argsort(stable=True)
    return without(weight, weight.numel() - 1 - order, sparsity)


@mistake(of="prune_by_magnitude")
def pruned_in_place(weight, sparsity):
    """The weight that was passed in was pruned itself, not a copy."""
    return weight.copy_(right.prune_by_magnitude(weight, sparsity))


@mistake(of="prune_by_magnitude")
def any_share(weight, sparsity):
    """A share below 0 or above 1 was accepted; 40 may have meant per cent."""
    return right.prune_by_magnitude(weight, min(max(sparsity, 0.0), 1.0))


# ── distillation_loss ───────────────────────────────────────────────────────────────────────────────────────────


def losses(student, teacher, labels, temperature, alpha):
    """KL divergence and cross entropy, once the right answer has refused what it refuses."""
    right.distillation_loss(student, teacher, labels, temperature, alpha)
    return right.distillation_loss(student, teacher, labels, temperature, 1.0) / temperature**2, cross(
        student, labels
    )


def cross(student, labels):
    return nn.functional.cross_entropy(student, labels)


@mistake(of="distillation_loss")
def no_t_squared(student, teacher, labels, temperature=2.0, alpha=0.5):
    """T² is missing: the softened gradients are smaller by that much, and the teacher is hardly heard."""
    soft, hard = losses(student, teacher, labels, temperature, alpha)
    return alpha * soft + (1 - alpha) * hard


@mistake(of="distillation_loss")
def student_and_teacher_swapped(student, teacher, labels, temperature=2.0, alpha=0.5):
    """The divergence is KL(student ‖ teacher), the wrong way round: `kl_div` takes the input's logarithm first."""
    _, hard = losses(student, teacher, labels, temperature, alpha)
    soft, _ = losses(teacher, student, labels, temperature, alpha)
    return alpha * temperature**2 * soft + (1 - alpha) * hard


@mistake(of="distillation_loss")
def softmax_twice(student, teacher, labels, temperature=2.0, alpha=0.5):
    """Softmax was applied twice to the teacher: its probabilities were softened once more, nearly to uniform."""
    right.distillation_loss(student, teacher, labels, temperature, alpha)
    twice = (teacher / temperature).softmax(-1) * temperature
    return right.distillation_loss(student, twice, labels, temperature, alpha)


@mistake(of="distillation_loss")
def alpha_swapped(student, teacher, labels, temperature=2.0, alpha=0.5):
    """Alpha weighs the labels here; it is the teacher's share."""
    return right.distillation_loss(student, teacher, labels, temperature, 1 - alpha if 0 <= alpha <= 1 else alpha)


@mistake(of="distillation_loss")
def mean_over_classes_too(student, teacher, labels, temperature=2.0, alpha=0.5):
    """The divergence was averaged over the classes too (reduction "mean"): it is a mean over the batch only."""
    soft, hard = losses(student, teacher, labels, temperature, alpha)
    return alpha * temperature**2 * soft / student.shape[1] + (1 - alpha) * hard


@mistake(of="distillation_loss")
def summed_over_the_batch(student, teacher, labels, temperature=2.0, alpha=0.5):
    """The divergence was summed over the batch instead of averaged: it grows with the batch size."""
    soft, hard = losses(student, teacher, labels, temperature, alpha)
    return alpha * temperature**2 * soft * len(student) + (1 - alpha) * hard


@mistake(of="distillation_loss")
def softened_cross_entropy(student, teacher, labels, temperature=2.0, alpha=0.5):
    """The cross entropy with the labels was softened by the temperature too; it is at temperature 1."""
    soft, _ = losses(student, teacher, labels, temperature, alpha)
    return alpha * temperature**2 * soft + (1 - alpha) * cross(student / temperature, labels)


@mistake(of="distillation_loss")
def only_the_student_softened(student, teacher, labels, temperature=2.0, alpha=0.5):
    """Only the student was softened by the temperature, not the teacher."""
    return right.distillation_loss(student, teacher * temperature, labels, temperature, alpha)


@mistake(of="distillation_loss")
def logarithm_of_the_softmax(student, teacher, labels, temperature=2.0, alpha=0.5):
    """The logarithm was taken of a softmax: for logits far apart that is log 0; log_softmax does both at once."""
    _, hard = losses(student, teacher, labels, temperature, alpha)
    s, t = (student / temperature).softmax(-1), (teacher / temperature).softmax(-1)
    soft = (t * (t.log() - s.log())).sum(-1).mean()
    return alpha * temperature**2 * soft + (1 - alpha) * hard


@mistake(of="distillation_loss")
def nothing_to_learn_from(student, teacher, labels, temperature=2.0, alpha=0.5):
    """The student's logits were detached, or turned into numbers: the loss is right, and teaches nothing."""
    return right.distillation_loss(student, teacher, labels, temperature, alpha).detach()


@mistake(of="distillation_loss")
def any_temperature(student, teacher, labels, temperature=2.0, alpha=0.5):
    """A temperature of 0 or less was accepted, which turns the softmax to NaN or upside down."""
    if temperature <= 0 and student.shape == teacher.shape:
        s, t = (student / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)
        return alpha * temperature**2 * (t.exp() * (t - s)).sum(-1).mean() + (1 - alpha) * cross(student, labels)
    return right.distillation_loss(student, teacher, labels, temperature, alpha)


# ── predict_mixed_precision ─────────────────────────────────────────────────────────────────────────────────────


@mistake(of="predict_mixed_precision")
def cast_the_model(model, batch):
    """The model was cast to bfloat16 (`model.to`), for good, norms included; autocast leaves the weights alone."""
    with torch.inference_mode():
        return model.to(torch.bfloat16)(**batch).logits.float()


@mistake(of="predict_mixed_precision")
def cast_a_copy(model, batch):
    """All of a copy was cast to bfloat16, norms included; autocast knows what to leave in float32."""
    with torch.inference_mode():
        return copy.deepcopy(model).to(torch.bfloat16)(**batch).logits.float()


@mistake(of="predict_mixed_precision")
def float16_on_the_cpu(model, batch):
    """float16 on a CPU, which few of them can multiply: many times slower than float32. There it is bfloat16."""
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.float16):
        return model(**batch).logits.float()


@mistake(of="predict_mixed_precision")
def bfloat16_logits(model, batch):
    """The logits came back in bfloat16: float32 is asked for."""
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        return model(**batch).logits.to(torch.bfloat16)


@mistake(of="predict_mixed_precision")
def no_autocast(model, batch):
    """Everything ran in float32: autocast was not switched on, or for another device than the model's."""
    with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16, enabled=False):
        return model(**batch).logits.float()


@mistake(of="predict_mixed_precision")
def only_the_result_cast(model, batch):
    """The model ran in float32 and its logits were rounded to bfloat16: the precision is lost, and no time won."""
    with torch.inference_mode():
        return model(**batch).logits.bfloat16().float()


@mistake(of="predict_mixed_precision")
def gradients_kept(model, batch):
    """Gradients were recorded all along: predicting needs `torch.inference_mode()` or `torch.no_grad()`."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return model(**batch).logits.float()


@mistake(of="predict_mixed_precision")
def probabilities_in_mixed_precision(model, batch):
    """The result is probabilities; logits are asked for."""
    return right.predict_mixed_precision(model, batch).softmax(-1)


# ── mixed_precision_arguments ───────────────────────────────────────────────────────────────────────────────────


@mistake(of="mixed_precision_arguments")
def fp16_everywhere(device):
    """`fp16` was switched on for every device: Trainer refuses it without a GPU, and a CPU is slow at it."""
    right.mixed_precision_arguments(device)
    return {"fp16": True} if device == "cuda" else {"fp16": True} | ({"use_cpu": True} if device == "cpu" else {})


@mistake(of="mixed_precision_arguments")
def bf16_everywhere(device):
    """`bf16` was chosen for CUDA too; the plan has `fp16` there, which every GPU with tensor cores can do."""
    return right.mixed_precision_arguments(device) if device != "cuda" else {"bf16": True}


@mistake(of="mixed_precision_arguments")
def forgot_use_cpu(device):
    """`use_cpu` is missing: where there is a GPU, Trainer would take it, whatever was asked for."""
    return right.mixed_precision_arguments(device) if device != "cpu" else {"bf16": True}


@mistake(of="mixed_precision_arguments")
def fp16_on_apple(device):
    """Mixed precision was switched on for `mps`; no arguments are asked for there."""
    return right.mixed_precision_arguments(device) if device != "mps" else {"fp16": True}


@mistake(of="mixed_precision_arguments")
def switched_off_by_name(device):
    """Arguments that are False are in there as well; only those that are to be True are asked for."""
    found = right.mixed_precision_arguments(device)
    return {name: name in found for name in ("fp16", "bf16", "use_cpu")}


@mistake(of="mixed_precision_arguments")
def nothing_for_the_unknown(device):
    """An unknown device got no arguments instead of a ValueError: a misspelt one would train in float32 unnoticed."""
    return right.mixed_precision_arguments(device) if device in ("cuda", "cpu", "mps") else {}
