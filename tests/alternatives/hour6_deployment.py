"""Other right answers to hour 6: by hand, with other libraries, other settings, other ways to serve."""

import asyncio
import os
import shutil
from contextlib import asynccontextmanager

import numpy as np
import torch
from torch import nn

from tests.alternatives import alternative

# ── quantize_tensor ─────────────────────────────────────────────────────────────────────────────────────────────


def _refuse(x, bits, axis):
    if bits not in range(2, 9):
        raise ValueError(f"{bits} bits")
    if x.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise ValueError(f"x is {x.dtype}")
    if 0 in x.shape:
        raise ValueError(f"nothing in shape {list(x.shape)}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"x holds nan or inf: {x[~torch.isfinite(x)].tolist()}")
    if axis is not None and (axis >= x.dim() or axis < -x.dim()):
        raise ValueError(f"no axis {axis} in shape {list(x.shape)}")


@alternative(of="quantize_tensor")
def quantize_in_numpy(x, bits=8, symmetric=True, axis=None):
    _refuse(x, bits, axis)
    a = x.double().numpy()
    rows = a.reshape(1, -1) if axis is None else np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1)
    least, most = (1 - 2 ** (bits - 1) if symmetric else -(2 ** (bits - 1))), 2 ** (bits - 1) - 1
    values, scales, zeros = np.empty(rows.shape, np.int8), [], []
    for index, row in enumerate(rows):
        low, high = min(row.min(), 0.0), max(row.max(), 0.0)
        scale = (max(-low, high) / most if symmetric else (high - low) / (most - least)) or 1.0
        zero = 0 if symmetric else int(np.rint(least - low / scale))
        values[index] = np.clip(np.rint(row / scale + zero), least, most)  # rounded once, after the zero point
        scales.append(scale)
        zeros.append(zero)
    if axis is None:
        values, scales, zeros = values.reshape(a.shape), scales[0], zeros[0]
    else:
        moved = np.moveaxis(a, axis, 0).shape
        values = np.moveaxis(values.reshape(moved), 0, axis)
    return {
        "axis": axis,
        "values": torch.tensor(values.copy()),
        "scale": torch.tensor(scales, dtype=torch.float32),
        "zero_point": torch.tensor(zeros, dtype=torch.int32),
    }


@alternative(of="quantize_tensor")
def quantize_by_torch(x, bits=8, symmetric=True, axis=None):
    _refuse(x, bits, axis)
    most = 2 ** (bits - 1) - 1
    least = -most - (not symmetric)
    x = x.to(torch.float32)
    flat = x.reshape(1, -1) if axis is None else x.transpose(0, axis).reshape(x.shape[axis], -1)
    low, high = torch.aminmax(torch.cat([flat, torch.zeros(len(flat), 1)], dim=1), dim=1)
    scale = torch.maximum(low.abs(), high) / most if symmetric else (high - low) / (2**bits - 1)
    scale[scale == 0] = 1
    zero = torch.zeros(len(flat)) if symmetric else torch.round(least - low / scale)
    zero = zero.to(torch.int32)
    if axis is None:
        values = torch.fake_quantize_per_tensor_affine(x, scale[0], zero[0], least, most)
        values = (values / scale[0]).round() + zero[0]
        scale, zero = scale[0], zero[0]
    else:
        axis_ = axis % x.ndim
        values = torch.fake_quantize_per_channel_affine(x, scale, zero, axis_, least, most)
        shape = [-1 if a == axis_ else 1 for a in range(x.ndim)]
        values = (values / scale.view(shape)).round() + zero.view(shape)
    return {"values": values.to(torch.int8), "scale": scale, "zero_point": zero, "axis": axis}


# ── dequantize_tensor ───────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="dequantize_tensor")
def dequantize_in_numpy(q):
    values, axis = q["values"].numpy().astype(np.float64), q["axis"]
    if axis is None:
        return torch.tensor((values - q["zero_point"].item()) * q["scale"].item()).float()
    moved = np.moveaxis(values, axis, -1)
    found = (moved - q["zero_point"].numpy()) * q["scale"].numpy()
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(found, -1, axis))).float()


@alternative(of="dequantize_tensor")
def dequantize_row_by_row(q):
    values = q["values"].to(torch.float32)
    if q["axis"] is None:
        return (values - q["zero_point"]) * q["scale"]
    slices = zip(values.unbind(q["axis"]), q["zero_point"], q["scale"], strict=True)
    return torch.stack([(part - zero) * scale for part, zero, scale in slices], dim=q["axis"])


# ── quantize_dynamic ────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="quantize_dynamic")
def quantize_per_channel(model):
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    return quantize_dynamic(model, {nn.Linear: per_channel_dynamic_qconfig}).eval()


class Int8Linear(nn.Module):
    """A linear layer whose weights are packed for PyTorch's own int8 product."""

    def __init__(self, linear):
        super().__init__()
        weight = linear.weight.detach()
        scale = weight.abs().amax(1).clamp(min=1e-12) / 127
        packed = torch.quantize_per_channel(
            weight, scale.double(), torch.zeros(len(scale), dtype=torch.long), 0, torch.qint8
        )
        self.packed = torch.ops.quantized.linear_prepack(
            packed, None if linear.bias is None else linear.bias.detach()
        )

    def forward(self, x):
        return torch.ops.quantized.linear_dynamic(x, self.packed, reduce_range=False)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        weight, bias = torch.ops.quantized.linear_unpack(self.packed)
        destination[prefix + "weight"], destination[prefix + "bias"] = weight, bias


@alternative(of="quantize_dynamic")
def quantize_layer_by_layer(model):
    import copy

    def replace(module):
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                setattr(module, name, Int8Linear(child))
            else:
                replace(child)

    quantized = copy.deepcopy(model)
    replace(quantized)
    return quantized.eval()


# ── export_onnx ─────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="export_onnx")
def export_by_ort_model(checkpoint, output_dir):
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer

    ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(output_dir)
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(output_dir)


@alternative(of="export_onnx")
def export_by_torch(checkpoint, output_dir):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, attn_implementation="eager").eval()
    model.config.return_dict = False
    ids = torch.tensor([[5, 6, 7], [8, 9, 0]])
    os.makedirs(output_dir, exist_ok=True)
    torch.onnx.export(
        model,
        (ids, (ids != 0).long()),
        os.path.join(output_dir, "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": {0: "b", 1: "t"}, "attention_mask": {0: "b", 1: "t"}, "logits": {0: "b"}},
        dynamo=False,
        opset_version=17,
    )
    shutil.copy(os.path.join(checkpoint, "config.json"), output_dir)


# ── quantize_onnx ───────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="quantize_onnx")
def quantize_onnx_for_plain_machines(onnx_dir, output_dir):
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    config = AutoQuantizationConfig.avx2(is_static=False, per_channel=False)
    ORTQuantizer.from_pretrained(onnx_dir, file_name="model.onnx").quantize(config, save_dir=output_dir)


@alternative(of="quantize_onnx")
def quantize_onnx_by_onnx_runtime(onnx_dir, output_dir):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    os.makedirs(output_dir, exist_ok=True)
    target = os.path.join(output_dir, "int8.onnx")
    quantize_dynamic(os.path.join(onnx_dir, "model.onnx"), target, weight_type=QuantType.QInt8, reduce_range=True)
    shutil.copy(os.path.join(onnx_dir, "config.json"), output_dir)


# ── latency_report ──────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="latency_report")
def report_by_numpy(seconds, warmup=0):
    if warmup < 0 or warmup >= len(seconds):
        raise ValueError(f"nothing to report after warm-up {warmup}")
    kept = np.asarray(seconds[warmup:])
    found = {f"p{p}_ms": float(np.percentile(kept, p) * 1e3) for p in (50, 95, 99)}
    return found | {"throughput_per_s": float(kept.size / kept.sum())}


@alternative(of="latency_report")
def report_by_statistics(seconds, warmup=0):
    from statistics import fmean, quantiles

    if not 0 <= warmup < len(seconds):
        raise ValueError(f"warmup={warmup}")
    kept = [1000.0 * s for s in seconds[warmup:]]
    cuts = quantiles(kept, n=100, method="inclusive") if len(kept) > 1 else kept * 99
    return {
        "throughput_per_s": 1000.0 / fmean(kept),
        "p50_ms": cuts[49],
        "p95_ms": cuts[94],
        "p99_ms": cuts[98],
    }


# ── create_app ──────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="create_app")
def app_with_a_pipeline(model_dir):
    """The model loaded when the server starts, by a pipeline, and checks by hand."""
    from fastapi import Body, FastAPI, HTTPException
    from transformers import pipeline

    state = {}

    @asynccontextmanager
    async def lifespan(app):
        state["classify"] = pipeline("text-classification", model_dir, tokenizer=model_dir, device="cpu")
        yield
        state.clear()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.post("/predict")
    async def predict(body: dict = Body()):  # noqa: B008 - FastAPI's way
        if len({"text", "texts"} & body.keys()) != 1:
            raise HTTPException(422, "text or texts, please")
        texts = [body["text"]] if "text" in body else body["texts"]
        fine = isinstance(texts, list) and 1 <= len(texts) <= 64
        if not fine or not all(isinstance(t, str) and t.strip() and len(t) <= 10_000 for t in texts):
            raise HTTPException(422, "1 to 64 texts of 1 to 10,000 characters")
        return {"predictions": state["classify"](texts, truncation=True, padding=True)}

    return app


@alternative(of="create_app")
def app_with_one_worker(model_dir):
    """The model loaded at the first request, in the one thread that runs it."""
    from concurrent.futures import ThreadPoolExecutor
    from functools import cache

    from fastapi import FastAPI
    from pydantic import BaseModel, ConfigDict, field_validator, model_validator
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    worker = ThreadPoolExecutor(1)

    @cache
    def loaded():
        return AutoModelForSequenceClassification.from_pretrained(model_dir), AutoTokenizer.from_pretrained(model_dir)

    class Request(BaseModel):
        model_config = ConfigDict(strict=True)
        text: str = None
        texts: list[str] = None

        @field_validator("texts")
        @classmethod
        def not_too_many(cls, texts):
            if not 0 < len(texts) < 65:
                raise ValueError("1 to 64 texts")
            return texts

        @model_validator(mode="after")
        def one_of_the_two(self):
            if len(self.model_fields_set) != 1:
                raise ValueError("text or texts")
            for text in self.all():
                if not text.strip() or len(text) > 10_000:
                    raise ValueError("1 to 10,000 characters")
            return self

        def all(self):
            return [self.text] if self.texts is None else self.texts

    def run(texts):
        model, tokenizer = loaded()
        found = []
        for text in texts:
            with torch.no_grad():
                logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
            score = logits.softmax(0)
            found.append({"label": model.config.id2label[int(score.argmax())], "score": float(score.max())})
        return found

    app = FastAPI()

    async def health():
        return {"status": "ok"}

    async def predict(request):
        return {"predictions": await asyncio.get_running_loop().run_in_executor(worker, run, request.all())}

    predict.__annotations__["request"] = Request
    app.get("/health")(health)
    app.post("/predict")(predict)
    return app


# ── int8_matmul ─────────────────────────────────────────────────────────────────────────────────────────────────


def _fit(a, b):
    for q in (a, b):
        if q["values"].dim() != 2:
            raise ValueError(f"no matrix: {tuple(q['values'].shape)}")
    if a["values"].size(1) != b["values"].size(0):
        raise ValueError(f"{tuple(a['values'].shape)} times {tuple(b['values'].shape)}")


@alternative(of="int8_matmul")
def matmul_with_corrections(a, b):
    """(x − p)(y − q) multiplied out, as the kernels do it: row and column sums correct the raw product."""
    _fit(a, b)
    x, y, p, q = a["values"].int(), b["values"].int(), a["zero_point"], b["zero_point"]
    total = x @ y - q * x.sum(1, keepdim=True) - p * y.sum(0, keepdim=True) + x.shape[1] * p * q
    return total.float() * a["scale"] * b["scale"]


@alternative(of="int8_matmul")
def matmul_in_int64(a, b):
    _fit(a, b)
    x, y = (q["values"].long().numpy() - q["zero_point"].item() for q in (a, b))
    return torch.from_numpy(np.einsum("ik,kj->ij", x, y) * (a["scale"].item() * b["scale"].item())).float()


# ── prune_by_magnitude ──────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="prune_by_magnitude")
def prune_in_numpy(weight, sparsity):
    if sparsity < 0 or sparsity > 1:
        raise ValueError(f"no share: {sparsity}")
    flat = weight.detach().cpu().numpy().reshape(-1).copy()
    flat[np.argsort(np.abs(flat), kind="stable")[: round(sparsity * len(flat))]] = 0
    return torch.from_numpy(flat).reshape(weight.shape)


@alternative(of="prune_by_magnitude")
def prune_with_a_mask(weight, sparsity):
    if not 0.0 <= sparsity <= 1.0:
        raise ValueError(f"sparsity {sparsity}")
    magnitude = weight.abs().reshape(-1)
    count = round(sparsity * magnitude.numel())
    if count == 0:
        return weight.clone()
    threshold = magnitude.sort().values[count - 1]
    ties = magnitude == threshold
    left = count - int((magnitude < threshold).sum())  # of the ties, so many go
    gone = (magnitude < threshold) | (ties & (ties.cumsum(0) <= left))
    return weight.masked_fill(gone.reshape(weight.shape), 0)


# ── distillation_loss ───────────────────────────────────────────────────────────────────────────────────────────


def _sound(student, teacher, temperature, alpha):
    if tuple(student.shape) != tuple(teacher.shape):
        raise ValueError(f"{list(student.shape)} against {list(teacher.shape)}")
    if temperature <= 0:
        raise ValueError(f"temperature {temperature}")
    if alpha < 0 or alpha > 1:
        raise ValueError(f"alpha {alpha}")


@alternative(of="distillation_loss")
def distillation_by_cross_entropies(student, teacher, labels, temperature=2.0, alpha=0.5):
    """KL as cross entropy less entropy."""
    _sound(student, teacher, temperature, alpha)
    target = (teacher / temperature).softmax(1)
    entropy = -torch.xlogy(target, target).sum(1).mean()
    soft = nn.functional.cross_entropy(student / temperature, target) - entropy
    return soft * alpha * temperature * temperature + nn.functional.cross_entropy(student, labels).mul(1 - alpha)


@alternative(of="distillation_loss")
def distillation_by_modules(student, teacher, labels, temperature=2.0, alpha=0.5):
    _sound(student, teacher, temperature, alpha)
    soft = nn.KLDivLoss(reduction="sum")(
        nn.LogSoftmax(dim=-1)(student / temperature), nn.Softmax(dim=-1)(teacher.detach() / temperature)
    )
    hard = nn.NLLLoss()(student.log_softmax(-1), labels)
    return alpha * soft / len(student) * temperature**2 + (1 - alpha) * hard


# ── predict_mixed_precision ─────────────────────────────────────────────────────────────────────────────────────


@alternative(of="predict_mixed_precision")
def predict_by_keyword(model, batch):
    device = model.device
    dtype = torch.bfloat16 if device.type == "cpu" else torch.float16
    with torch.no_grad(), torch.amp.autocast(device_type=device.type, dtype=dtype):
        output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], return_dict=False)
    return output[0].to("cpu", torch.float32)


@alternative(of="predict_mixed_precision")
@torch.inference_mode()
def predict_by_accelerate(model, batch):
    kind = str(next(iter(model.state_dict().values())).device).partition(":")[0]
    context = torch.autocast(kind) if kind == "cpu" else torch.autocast(kind, torch.half)  # a CPU's default: bfloat16
    with context:
        return model(**batch)["logits"].cpu().float()


# ── mixed_precision_arguments ───────────────────────────────────────────────────────────────────────────────────


@alternative(of="mixed_precision_arguments")
def arguments_by_match(device):
    match device:
        case "cuda":
            return {"fp16": True}
        case "cpu":
            return {"use_cpu": True, "bf16": True}
        case "mps":
            return {}
    raise ValueError(f"unknown device {device}")


@alternative(of="mixed_precision_arguments")
def arguments_by_halves(device):
    halves = {"cuda": "fp16", "cpu": "bf16", "mps": ""}
    try:
        half = halves[device]
    except KeyError:
        raise ValueError(f"unknown device: {device}") from None
    found = {half: True} if half else {}
    if device == "cpu":
        found["use_cpu"] = True
    return found
