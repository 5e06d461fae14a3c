"""Hour 6 · Optimization and deployment

**Goal:** take a classifier that works and make it small, fast and reachable. You round a tensor to eight bits by
hand, let PyTorch and ONNX Runtime do the same to a whole model, measure what it bought, and put the model behind an
HTTP interface that stands up to bad input.

- **0–20 min · model optimization.** *Quantization*, numbers of lower precision. Read PyTorch's tutorial:
  https://pytorch.org/tutorials/advanced/static_quantization_tutorial.html
  Code the arithmetic with `quantize_tensor` and `dequantize_tensor`, then `quantize_dynamic` on a model.
  *Pruning and distillation*: redundant weights can go, and a small model can learn from a large one, as DistilBERT
  did: https://arxiv.org/abs/1910.01108
- **20–40 min · deployment.** Convert the model to **ONNX** with Hugging Face Optimum:
  https://huggingface.co/docs/optimum
  That is `export_onnx`, `quantize_onnx`, and `latency_report` to compare them. Then serve it with **FastAPI**:
  https://fastapi.tiangolo.com/
  That is `create_app`. To see it in your browser, save this as `serve.py` beside this file and run
  `uvicorn serve:app`; http://127.0.0.1:8000/docs lets you try it:

      from deepdive.assets import checkpoint
      from hour6_deployment import create_app

      app = create_app(checkpoint("sentiment"))

- **40–60 min · performance tuning.** Mixed precision (`fp16=True` in `TrainingArguments`), and *Optimizing
  Transformers with Hugging Face Optimum*, with more to try: https://huggingface.co/blog/optimum
- **Stretch, whenever you like.** `int8_matmul` is what an int8 layer does inside; `prune_by_magnitude` and
  `distillation_loss` are the other two ways to a smaller model; `predict_mixed_precision` and
  `mixed_precision_arguments` halve the bits of the arithmetic while the weights stay as they are.

**Conventions**

- Tensors are torch's. A checkpoint is a folder that `from_pretrained` reads.
- Inputs, models included, are never changed in place.
- A *step* is the distance between two neighbouring values of a quantized tensor, its scale.
- Input that a docstring lists under *Raises* is refused with a message that shows the offending value.

The libraries of this hour move. `torch.ao.quantization` still works and says that it is deprecated; its successor is
torchao, https://github.com/pytorch/ao, a package of its own.
"""

import threading
from typing import Annotated, Any

import torch
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def quantize_tensor(
    x: torch.Tensor, bits: int = 8, symmetric: bool = True, axis: int | None = None
) -> dict[str, Any]:
    """Round a tensor to integers of a few bits, and say how to get back: x ≈ scale · (values − zero point).

    Symmetric: the integers go from −(2^(bits−1) − 1) to 2^(bits−1) − 1, the largest magnitude of `x` becomes the
    largest of them, and the zero point is 0. Asymmetric: the full signed range, −2^(bits−1) to 2^(bits−1) − 1, is
    laid over [min(x, 0), max(x, 0)]; that zero lies in there makes it exact. Rounding is half to even. Whatever is
    all zeros has scale 1.

    Args:
        x: floating point, any shape, not empty.
        bits: of the integers, 2 to 8.
        symmetric: see above.
        axis: None for one scale for the whole tensor; otherwise every index of this axis (of a linear layer's
            weight, `axis=0` is every output) has a scale of its own. Negative counts from the end.

    Returns:
        `{"values", "scale", "zero_point", "axis"}`: int8 of the shape of `x`; float32 and int32, without axes for a
        whole tensor, `(x.shape[axis],)` along an axis; and `axis` as it was given. No value of `x` is further from
        what the integers mean than half a step.

    Raises:
        ValueError: bits outside 2 to 8 (the message shows them); `x` empty (shows the shape), not floating point
            (shows the dtype) or with NaN or ±∞ in it; an axis that `x` does not have (shows it).

    Source:
        Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
        section 2.1: https://arxiv.org/abs/1712.05877

    Example:
        >>> q = quantize_tensor(torch.tensor([-1.27, 0.0, 0.52]))
        >>> q["values"], round(q["scale"].item(), 6)
        (tensor([-127,    0,   52], dtype=torch.int8), 0.01)
    """
    ### BEGIN SOLUTION
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be 2 to 8, got {bits}")
    if not x.is_floating_point():
        raise ValueError(f"x must be floating point, got {x.dtype}")
    if x.numel() == 0:
        raise ValueError(f"x must not be empty, got shape {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError(f"x must be finite, got {x[~x.isfinite()][0].item()}")
    if axis is not None and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"x has {x.ndim} axes, there is no axis {axis}")

    x = x.float()
    rest = tuple(range(x.ndim)) if axis is None else tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    low = x.amin(rest, keepdim=True).clamp(max=0) if rest else x.clamp(max=0)
    high = x.amax(rest, keepdim=True).clamp(min=0) if rest else x.clamp(min=0)
    most = 2 ** (bits - 1) - 1
    if symmetric:
        least, scale = -most, torch.maximum(-low, high) / most
    else:
        least = -most - 1
        scale = high / (most - least) - low / (most - least)  # high − low itself may overflow
    scale = torch.where(scale == 0, 1.0, scale)
    # The zero point is a whole number, so 0.0 comes back as exactly 0.0: padding and dropped weights rely on it.
    zero_point = torch.zeros_like(scale) if symmetric else (least - low / scale).round()
    values = ((x / scale).round() + zero_point).clamp(least, most)
    shape = () if axis is None else (-1,)
    return {
        "values": values.to(torch.int8),
        "scale": scale.reshape(shape),
        "zero_point": zero_point.reshape(shape).to(torch.int32),
        "axis": axis,
    }
    ### END SOLUTION


def dequantize_tensor(q: dict[str, Any]) -> torch.Tensor:
    """Turn what `quantize_tensor` made back into numbers: scale · (values − zero point).

    Args:
        q: `{"values", "scale", "zero_point", "axis"}` as `quantize_tensor` gives it, for a whole tensor or along
            an axis.

    Returns:
        float32, the shape of `q["values"]`.

    Source:
        Jacob et al., section 2.1, equation 1: https://arxiv.org/abs/1712.05877

    Example:
        >>> values = torch.tensor([-128, 0, 127], dtype=torch.int8)
        >>> scale, zero_point = torch.tensor(0.5), torch.tensor(-128, dtype=torch.int32)
        >>> dequantize_tensor({"values": values, "scale": scale, "zero_point": zero_point, "axis": None})
        tensor([  0.0000,  64.0000, 127.5000])
    """
    ### BEGIN SOLUTION
    scale, zero_point = q["scale"], q["zero_point"]
    if q["axis"] is not None:
        shape = [1] * q["values"].ndim
        shape[q["axis"]] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    # In int8, 127 − (−128) would wrap around to −1.
    return scale * (q["values"].to(torch.int32) - zero_point)
    ### END SOLUTION


def quantize_dynamic(model: nn.Module) -> nn.Module:
    """Give a model int8 linear layers: weights quantized now, activations whenever it runs.

    Every `nn.Linear` is replaced, the head's included; embeddings and normalization stay as they are. The result is
    smaller and faster on a CPU than the model, and nearly agrees with it.

    Args:
        model: float32, on the CPU, a Transformers model or any other; in training or evaluation mode. It is left as
            it is.

    Returns:
        A copy of the model, called like it, with int8 linear layers, in evaluation mode.

    Source:
        https://docs.pytorch.org/docs/stable/quantization.html (the section about dynamic quantization)
    """
    ### BEGIN SOLUTION
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8).eval()
    ### END SOLUTION


def export_onnx(checkpoint: str, output_dir: str) -> None:
    """Write a text classifier as an ONNX model, which runs without PyTorch.

    Args:
        checkpoint: folder of a sequence classification model and its tokenizer.
        output_dir: folder to write to; it exists, or is made. Afterwards it holds `model.onnx`, with inputs
            `input_ids` and `attention_mask` of int64 `(batch, tokens)`, any batch and any number of tokens that the
            model can take, and output `logits` of float32 `(batch, labels)`; and `config.json`. The logits are
            those of the PyTorch model in evaluation mode, to 1e-4. No folders in the folder.

    Source:
        https://huggingface.co/docs/optimum-onnx/onnx/usage_guides/export_a_model
    """
    ### BEGIN SOLUTION
    from optimum.exporters.onnx import main_export  # takes a second, and only this exercise needs it

    main_export(checkpoint, output_dir, task="text-classification")
    ### END SOLUTION


def quantize_onnx(onnx_dir: str, output_dir: str) -> None:
    """Write an ONNX model once more with int8 weights: a quarter of the size, and faster.

    Dynamic quantization: no calibration data, activations are quantized whenever the model runs.

    Args:
        onnx_dir: folder with `model.onnx` and `config.json`, as `export_onnx` writes it. It is left as it is.
        output_dir: another folder to write to; it exists, or is made. Afterwards it holds one ONNX model
            (`model_quantized.onnx`, as Optimum calls it) that takes and gives what the other does, the weights of all
            linear layers and embeddings in int8 or uint8. No folders in the folder.

    Source:
        https://huggingface.co/docs/optimum-onnx/onnxruntime/usage_guides/quantization
    """
    ### BEGIN SOLUTION
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    # For processors that multiply int8 themselves (VNNI, or dot products on ARM). On an older x86, sums of such
    # products can saturate; there, avx2 is the configuration that avoids it.
    config = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
    ORTQuantizer.from_pretrained(onnx_dir).quantize(save_dir=output_dir, quantization_config=config)
    ### END SOLUTION


def latency_report(seconds: list[float], warmup: int = 0) -> dict[str, float]:
    """Sum up how long requests took: the typical one, the slow ones, and how many a second that makes.

    Users do not feel the mean: one request in a hundred that takes a second is one unhappy user in a hundred.

    Args:
        seconds: how long each request took, in order, one after the other.
        warmup: how many at the beginning do not count: they pay for caches and lazy loading.

    Returns:
        `{"p50_ms", "p95_ms", "p99_ms", "throughput_per_s"}`, Python floats: percentiles in milliseconds, with linear
        interpolation between neighbours; requests that count over the seconds they took together.

    Raises:
        ValueError: warmup below 0, or nothing left after it; the message shows warmup.

    Source:
        https://numpy.org/doc/stable/reference/generated/numpy.percentile.html

    Example:
        >>> latency_report([9.0, 0.1, 0.2, 0.3], warmup=1)["p50_ms"]
        200.0
    """
    ### BEGIN SOLUTION
    if not 0 <= warmup < len(seconds):
        raise ValueError(f"of {len(seconds)} requests, {warmup} cannot be warm-up: none would be left to report")
    counted = torch.tensor(seconds[warmup:], dtype=torch.float64)
    p50, p95, p99 = (1000 * counted.quantile(torch.tensor([0.5, 0.95, 0.99], dtype=torch.float64))).tolist()
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "throughput_per_s": len(counted) / counted.sum().item()}
    ### END SOLUTION


def create_app(model_dir: str) -> FastAPI:
    """Serve a text classifier over HTTP.

    - `GET /health` answers 200 with `{"status": "ok"}`.
    - `POST /predict` takes JSON, `{"text": "…"}` or `{"texts": ["…", …]}`, and answers 200 with
      `{"predictions": [{"label": "…", "score": 0.98}, …]}`: a prediction for each text, in the order of the texts,
      with the model's own name of the most probable label and its probability.
    - What cannot be predicted is answered with 422: a text that is empty or nothing but white space, longer than
      10,000 characters, or no text; no texts, or more than 64; both keys, or neither; null; what is no JSON. (FastAPI
      answers 400 to bytes that are not even UTF-8, which is as good.)
    - A text that is longer than the model's positions is truncated to them.

    The model is loaded once: here, or when the server starts, or at the first request. Many clients may ask at once.

    Args:
        model_dir: folder of a sequence classification model and its tokenizer.

    Returns:
        The application, for a server such as uvicorn to run.

    Source:
        https://fastapi.tiangolo.com/tutorial/body/ and https://docs.pydantic.dev/latest/concepts/fields/
    """
    ### BEGIN SOLUTION
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForSequenceClassification.from_pretrained(model_dir).eval()
    # One batch at a time: the forward pass uses all cores anyway, and a tokenizer that pads and truncates keeps
    # these settings in itself, which two threads must not do at once.
    turn = threading.Lock()
    app = FastAPI(title="Text classification")

    Text = Annotated[str, Field(max_length=10_000, pattern=r"\S")]  # noqa: N806 - a type

    class OneText(BaseModel, extra="forbid"):
        text: Text

    class ManyTexts(BaseModel, extra="forbid"):
        texts: Annotated[list[Text], Field(min_length=1, max_length=64)]

    class Prediction(BaseModel):
        label: str
        score: float

    class Predictions(BaseModel):
        predictions: list[Prediction]

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    # FastAPI itself says 400 to a body that is no UTF-8; the document that it writes should name that too.
    @app.post("/predict", responses={400: {"description": "The body is no text."}})
    def predict(body: OneText | ManyTexts) -> Predictions:  # not async: it runs in a thread, and /health goes on
        texts = [body.text] if isinstance(body, OneText) else body.texts
        with turn, torch.inference_mode():
            batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            scores, labels = model(**batch).logits.softmax(dim=-1).max(dim=-1)
        names = [model.config.id2label[label] for label in labels.tolist()]
        found = zip(names, scores.tolist(), strict=True)
        return Predictions(predictions=[Prediction(label=label, score=score) for label, score in found])

    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats the input, which may be ten megabytes, or nothing that JSON can say.
        problems = [{"loc": e["loc"][:2], "msg": e["msg"], "type": e["type"]} for e in error.errors()]
        return JSONResponse({"detail": problems}, 422)

    return app
    ### END SOLUTION


def int8_matmul(a: dict[str, Any], b: dict[str, Any]) -> torch.Tensor:
    """Multiply two quantized matrices in integers, and turn only the result into floats.

    Products of int8 need 16 bits, and their sums more: they are added up in int32.

    Args:
        a: a whole `(m, k)` matrix as `quantize_tensor` gives it, symmetric or not.
        b: `(k, n)`, likewise.

    Returns:
        float32 `(m, n)`: the product of the two dequantized matrices.

    Raises:
        ValueError: one of them not of two axes, or inner sizes that differ; the message shows the shape.

    Source:
        Jacob et al., section 2.2: https://arxiv.org/abs/1712.05877

    Example:
        >>> a = quantize_tensor(torch.tensor([[127.0, -127.0]]))
        >>> b = quantize_tensor(torch.tensor([[127.0], [127.0]]))
        >>> int8_matmul(a, b)
        tensor([[0.]])
    """
    ### BEGIN SOLUTION
    x, y = a["values"], b["values"]
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[0]:
        raise ValueError(f"cannot multiply shapes {tuple(x.shape)} and {tuple(y.shape)}")
    x = x.to(torch.int32) - a["zero_point"]
    y = y.to(torch.int32) - b["zero_point"]
    return (x @ y) * (a["scale"] * b["scale"])
    ### END SOLUTION


def prune_by_magnitude(weight: torch.Tensor, sparsity: float) -> torch.Tensor:
    """Set the weights of smallest magnitude to zero, over the whole tensor.

    Args:
        weight: floating point, any shape, n weights; not changed.
        sparsity: the share to set to zero, 0 to 1: `round(sparsity * n)` weights, Python's `round`. Of equal
            magnitudes, those with the lower flat index go first.

    Returns:
        A copy, same shape and dtype.

    Raises:
        ValueError: sparsity outside 0 to 1; the message shows it.

    Source:
        Han et al., Learning both Weights and Connections for Efficient Neural Networks, section 3:
        https://arxiv.org/abs/1506.02626

    Example:
        >>> prune_by_magnitude(torch.tensor([[0.5, -0.1], [-2.0, 0.3]]), sparsity=0.5)
        tensor([[ 0.5000,  0.0000],
                [-2.0000,  0.0000]])
    """
    ### BEGIN SOLUTION
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be between 0 and 1, got {sparsity}")
    smallest = weight.abs().flatten().argsort(stable=True)[: round(sparsity * weight.numel())]
    pruned = weight.detach().clone(memory_format=torch.contiguous_format)
    pruned.view(-1)[smallest] = 0
    return pruned
    ### END SOLUTION


def distillation_loss(
    student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, temperature: float = 2.0, alpha: float = 0.5
) -> torch.Tensor:
    """Score a student's logits against its teacher's, and against the labels.

    α · T² · KL(teacher ‖ student), both softened by the temperature T, plus (1 − α) · cross entropy with the labels
    (at temperature 1). Both terms are means over the batch. T² makes up for the gradients of the softened
    distributions, which are smaller by that much. Finite for logits that lie far apart.

    Args:
        student: logits `(N, C)`; gradients flow to it.
        teacher: logits `(N, C)`.
        labels: int64 `(N,)`.
        temperature: T, above 0.
        alpha: the teacher's share, 0 to 1.

    Returns:
        A tensor without axes.

    Raises:
        ValueError: student and teacher of different shapes (the message shows both), temperature not above 0, alpha
            outside 0 to 1 (shows it).

    Source:
        Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, section 2:
        https://arxiv.org/abs/1503.02531

    Example:
        >>> logits = torch.tensor([[1.0, -1.0]])
        >>> distillation_loss(logits, logits, torch.tensor([0]), alpha=1.0)
        tensor(0.)
    """
    ### BEGIN SOLUTION
    if student.shape != teacher.shape:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)} differ in shape")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    functional = nn.functional
    soft_student = functional.log_softmax(student / temperature, dim=-1)
    soft_teacher = functional.log_softmax(teacher / temperature, dim=-1)
    # kl_div(input, target) is KL(target ‖ input); "batchmean" divides by N, "mean" would divide by N · C.
    soft = functional.kl_div(soft_student, soft_teacher, reduction="batchmean", log_target=True)
    return alpha * temperature**2 * soft + (1 - alpha) * functional.cross_entropy(student, labels)
    ### END SOLUTION


def predict_mixed_precision(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Compute a classifier's logits with matrix products in 16 bits: bfloat16 on a CPU, float16 on CUDA.

    The weights stay float32 and the model as it is: the library casts what each operation needs, and leaves in
    float32 what would suffer, such as normalization.

    Args:
        model: a sequence classification model, float32, in evaluation mode, on any device.
        batch: `input_ids` and `attention_mask`, int64 `(B, T)`, as the tokenizer gives them, on the model's device.

    Returns:
        float32 logits `(B, labels)` on the CPU, that take no part in gradients.

    Source:
        https://docs.pytorch.org/docs/stable/amp.html
    """
    ### BEGIN SOLUTION
    device = next(model.parameters()).device.type
    dtype = torch.float16 if device == "cuda" else torch.bfloat16
    with torch.inference_mode(), torch.autocast(device, dtype=dtype):
        logits = model(**batch).logits
    return logits.float().cpu()
    ### END SOLUTION


def mixed_precision_arguments(device: str) -> dict[str, bool]:
    """Say which `TrainingArguments` switch on mixed precision on a device.

    Args:
        device: `"cuda"`, `"cpu"` or `"mps"`.

    Returns:
        Keyword arguments: `fp16` on CUDA, as the plan has it; `bf16` on a CPU, and `use_cpu`, without which Trainer
        takes a GPU where there is one; none on Apple's `mps`. Only those that are to be True are there.

    Raises:
        ValueError: another device; the message shows it.

    Source:
        https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments

    Example:
        >>> mixed_precision_arguments("cuda")
        {'fp16': True}
    """
    ### BEGIN SOLUTION
    arguments = {"cuda": {"fp16": True}, "cpu": {"bf16": True, "use_cpu": True}, "mps": {}}
    if device not in arguments:
        raise ValueError(f"device must be cuda, cpu or mps, got {device!r}")
    return arguments[device]
    ### END SOLUTION
