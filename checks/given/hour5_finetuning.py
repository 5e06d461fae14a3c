"""What hour 5's exercises are handed that is not plain data, and what can be seen of what they return.

Most checks use a model of some thousand parameters and texts of a dozen words, on which training takes a tenth of a
second: what is asked of a right answer there is the same. One check trains DistilBERT's architecture for real.
"""

import contextlib
import gc
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

# ── a small world: texts whose label can be read off their words, and models to match ───────────────────────────

GOOD = ["great", "lovely", "superb", "moving"]
BAD = ["dull", "awful", "clumsy", "boring"]
OTHERS = ["the", "film", "plot", "was", "and", "actor", "a", "story", "scene", "with", "music", "it"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *OTHERS]


def small_texts(n: int, seed: int) -> tuple[list[str], list[int]]:
    """Texts of 4 to 12 words with some good or some bad ones among them, and their labels, half of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation([row % 2 for row in range(n)]).tolist()
    texts = []
    for label in labels:
        words = [*rng.choice(GOOD if label else BAD, 3), *rng.choice(OTHERS, rng.integers(1, 10))]
        texts.append(" ".join(rng.permutation(words)))
    return texts, labels


def small_encoder(seed: int = 0, layers: int = 2, dropout: float = 0.1) -> str:
    """The folder of a small pretrained DistilBERT without a head, and of its tokenizer."""
    from transformers import DistilBertModel

    return _saved(DistilBertModel, seed, layers, dropout)


def small_classifier(
    seed: int = 0, labels: int = 2, dropout: float = 0.1, positions: int = 64, layers: int = 2
) -> str:
    """The folder of a small DistilBERT with a head of so many labels, and of its tokenizer."""
    from transformers import DistilBertForSequenceClassification

    return _saved(DistilBertForSequenceClassification, seed, layers, dropout, num_labels=labels, positions=positions)


def _saved(kind: Any, seed: int, layers: int, dropout: float, positions: int = 64, **settings: Any) -> str:
    from transformers import DistilBertConfig, DistilBertTokenizerFast

    folder = tempfile.mkdtemp()
    config = DistilBertConfig(
        vocab_size=len(VOCABULARY),
        max_position_embeddings=positions,
        dim=32,
        hidden_dim=64,
        n_layers=layers,
        n_heads=4,
        dropout=dropout,
        attention_dropout=dropout,
        seq_classif_dropout=dropout,
        initializer_range=0.2,
        **settings,
    )
    words = Path(folder) / "vocab.txt"
    words.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    DistilBertTokenizerFast(str(words), model_max_length=positions).save_pretrained(folder)
    with _own_random_numbers(seed):
        model = kind(config).eval()
        if hasattr(model, "classifier"):  # which would call nearly all texts the same
            with torch.no_grad():
                words = torch.randint(5, len(VOCABULARY), (200, 12))
                logits = model(torch.cat([torch.full((200, 1), 2), words, torch.full((200, 1), 3)], dim=1)).logits
                model.classifier.bias -= logits.mean(dim=0)
    model.save_pretrained(folder)
    return folder


@contextlib.contextmanager
def _own_random_numbers(seed: int) -> Iterator[None]:
    """Random numbers of torch's from this seed, and afterwards go on as if nothing had been."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def tokenized(checkpoint: str, texts: list[str], labels: list[int], head: int = 64, tail: int = 128) -> Any:
    """A Dataset of `input_ids`, `attention_mask` and `label`: of each text its first and its last tokens.

    Args:
        checkpoint: whose tokenizer.
        texts: the reviews; line breaks in HTML are taken for spaces.
        labels: 0 for negative, 1 for positive.
        head: how many tokens to keep of the start of a text that is too long,
        tail: and how many of its end, which is where reviews say what they think.
    """
    from datasets import ClassLabel, Dataset, Features, List, Value
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ids = [_cut(tokenizer, text, head, tail) for text in texts]
    rows = {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids], "label": list(labels)}
    columns = {"input_ids": List(Value("int32")), "attention_mask": List(Value("int8"))}
    return Dataset.from_dict(rows, Features(columns | {"label": ClassLabel(names=["neg", "pos"])}))


def _cut(tokenizer: Any, text: str, head: int, tail: int) -> list[int]:
    text = re.sub(r"<br\s*/?>", " ", text)
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    if len(ids) > head + tail:
        ids = ids[:head] + ids[len(ids) - tail :]
    return [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]


# ── makers of what the Trainer hands about ──────────────────────────────────────────────────────────────────────


def eval_prediction(logits: np.ndarray, labels: np.ndarray) -> Any:
    """What the Trainer hands to `compute_metrics`."""
    from transformers import EvalPrediction

    return EvalPrediction(predictions=logits, label_ids=labels)


def arguments(**settings: Any) -> Any:
    """Settings of a run in a folder of its own, which keeps no checkpoints."""
    from transformers import TrainingArguments

    quiet = {"disable_tqdm": True, "report_to": "none", "save_strategy": "no", "use_cpu": True}
    return TrainingArguments(tempfile.mkdtemp(), **(quiet | settings))


# ── observers: settings and Trainers ────────────────────────────────────────────────────────────────────────────


def settings_of(made: Any, names: list[str]) -> dict[str, Any]:
    """What a TrainingArguments says under these names."""
    from transformers import TrainingArguments

    if not isinstance(made, TrainingArguments):
        raise TypeError(f"a TrainingArguments was asked for, not a {type(made).__name__}")
    values = {name: getattr(made, name) for name in names}
    return {name: str(getattr(value, "value", value)) if _is_enum(value) else value for name, value in values.items()}


def _is_enum(value: Any) -> bool:
    return hasattr(value, "value") and isinstance(value, str)


def _trainer(made: Any) -> Any:
    from transformers import Trainer

    if not isinstance(made, Trainer):
        raise TypeError(f"a Trainer was asked for, not a {type(made).__name__}")
    return made


def labels_of(trainer: Any) -> dict[str, Any]:
    """How many labels its model has, and what they are called."""
    config = _trainer(trainer).model.config
    return {
        "labels": config.num_labels,
        "id2label": {int(label): name for label, name in config.id2label.items()},
        "label2id": dict(config.label2id),
    }


def encoder_of(trainer: Any, checkpoint: str) -> dict[str, bool]:
    """Whether its encoder has the checkpoint's weights, and whether every parameter can be trained."""
    from safetensors.torch import load_file

    before = load_file(Path(checkpoint) / "model.safetensors")
    model = _trainer(trainer).model
    now = {name.removeprefix("distilbert."): value for name, value in model.state_dict().items()}
    return {
        "has the checkpoint's weights": all(name in now and torch.equal(now[name], before[name]) for name in before),
        "can all be trained": all(parameter.requires_grad for parameter in model.parameters()),
    }


def batches_of(trainer: Any, which: str) -> list[tuple[int, ...]]:
    """The shapes of all batches, in their order, that it trains or evaluates on."""
    made = _trainer(trainer)
    loader = made.get_train_dataloader() if which == "training" else made.get_eval_dataloader()
    return [tuple(batch["input_ids"].shape) for batch in loader]


def rows_of(trainer: Any, which: str) -> list[tuple[list[int], int]]:
    """The tokens and the label of every row that it trains or evaluates on, sorted; padding left out."""
    made = _trainer(trainer)
    loader = made.get_train_dataloader() if which == "training" else made.get_eval_dataloader()
    rows = []
    for batch in loader:
        if "labels" not in batch:
            raise TypeError(f"its batches have no labels, only {', '.join(sorted(batch))}")
        for ids, mask, label in zip(batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True):
            rows.append((ids[mask.bool()].tolist(), int(label)))
    return sorted(rows)


def measures_of(trainer: Any) -> list[str]:
    """What an evaluation measures, without what it says about its own speed."""
    return sorted(name for name in _trainer(trainer).evaluate() if not _about_speed(name))


def _about_speed(name: str) -> bool:
    return name == "epoch" or name.endswith(("_runtime", "_per_second", "_time"))


def learning_rate_of(trainer: Any) -> float:
    """The learning rate that it was told to use."""
    return float(_trainer(trainer).args.learning_rate)


def tokens_by_what_it_saves(trainer: Any, text: str) -> list[str]:
    """The tokens of a text by the tokenizer that it saves with its model; none where it saves no tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        _trainer(trainer).save_model(folder)
        return _tokens(folder, text)


def _tokens(folder: str, text: str) -> list[str]:
    from transformers import AutoTokenizer

    if not (Path(folder) / "tokenizer_config.json").exists():
        return []
    tokens: list[str] = AutoTokenizer.from_pretrained(folder).tokenize(text)
    return tokens


# ── observers: whole runs ───────────────────────────────────────────────────────────────────────────────────────

MEASURES = ("eval_loss", "eval_accuracy", "eval_precision", "eval_recall", "eval_f1")

# For a small model, from random weights.
SMALL_RUN = {
    "num_train_epochs": 3,
    "learning_rate": 5e-3,
    "per_device_train_batch_size": 8,
    "eval_strategy": "no",
    "save_strategy": "no",
    "disable_tqdm": True,
    "use_cpu": True,
}


def run(fine_tune: Callable[..., Any], checkpoint: str, train: Any, validation: Any, **settings: Any) -> Any:
    """Fine-tune in a new folder: the folder, and what came back without what differs from run to run."""
    folder = tempfile.mkdtemp()
    settings = SMALL_RUN | {"seed": 0} | settings
    gc.freeze()  # the Trainer collects garbage, and need not look through all the libraries for it
    try:
        metrics = fine_tune(checkpoint, train, validation, folder, settings.pop("seed"), **settings)
    finally:
        gc.unfreeze()
    if not isinstance(metrics, dict):
        raise TypeError(f"a dict of measures was asked for, not a {type(metrics).__name__}")
    return folder, {name: float(metrics[name]) for name in MEASURES if name in metrics}


def changed_parts(folder: str, checkpoint: str) -> dict[str, bool]:
    """Which parts of the encoder have other weights than they had in the checkpoint."""
    from safetensors.torch import load_file

    before, after = load_file(Path(checkpoint) / "model.safetensors"), _weights(folder)
    parts: dict[str, bool] = {}
    for name, was in before.items():
        part = re.sub(r"^transformer\.layer\.(\d+)\..*", r"layer \1", name)
        part = "embeddings" if part == name else part
        now = after.get(f"distilbert.{name}")
        parts[part] = parts.get(part, False) or now is None or not torch.equal(now, was)
    return parts


def _weights(folder: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    path = Path(folder) / "model.safetensors"
    if not path.exists():
        found = ", ".join(sorted(file.name for file in Path(folder).iterdir())) or "nothing"
        raise TypeError(f"no model.safetensors is in the folder, there is {found}")
    return dict(load_file(path))


def reproduced(fine_tune: Callable[..., Any], checkpoint: str, train: Any, validation: Any) -> dict[str, bool]:
    """What two short runs have in common, to the last bit: for the same seed, and for two seeds."""

    def short_run(seed: int) -> tuple[dict[str, torch.Tensor], list[Any]]:
        with _rows_in_order() as rows:
            folder, _ = run(fine_tune, checkpoint, train, validation, seed=seed, max_steps=2)
        return _weights(folder), rows

    def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
        return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)

    (first, rows), (again, _), (another, others) = (short_run(seed) for seed in (3, 3, 4))
    return {
        "the same seed, the same weights": same(first, again),
        "two seeds, the same weights": same(first, another),
        "two seeds, the same order of rows": rows == others != [],
    }


@contextlib.contextmanager
def _rows_in_order() -> Iterator[list[Any]]:
    """The tokens of every batch that a small model is trained on in the block."""
    seen: list[Any] = []

    def watch(module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == len(VOCABULARY) and module.training:
            seen.append(arguments[0].tolist())

    handle = torch.nn.modules.module.register_module_forward_pre_hook(watch)
    try:
        yield seen
    finally:
        handle.remove()


def what_is_saved(folder: str) -> dict[str, bool]:
    """Whether a folder holds a model and a tokenizer that can be loaded from it."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    loads = {}
    for name, kind in ("model", AutoModelForSequenceClassification), ("tokenizer", AutoTokenizer):
        try:
            kind.from_pretrained(folder)
        except Exception:
            loads[name] = False
        else:
            loads[name] = True
    return loads


def files_in(folder: str) -> dict[str, bytes]:
    """The files of a folder that a model and a tokenizer are loaded from."""
    wanted = sorted(path for path in Path(folder).iterdir() if path.suffix in (".json", ".txt", ".safetensors"))
    return {path.name: path.read_bytes() for path in wanted}


def logits_of_saved(
    files: dict[str, bytes], texts: list[str], head: int = 64, tail: int = 128, quick: bool = False
) -> np.ndarray:
    """The logits that a saved model gives texts which are cut as `tokenized` cuts them, float32 `(N, C)`.

    Computed in bfloat16 and on all cores if it is to be quick.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [_cut(tokenizer, text, head, tail) for text in texts]
    logits = np.empty((len(rows), model.config.num_labels), np.float32)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))  # rows of like length need little padding
    with (
        _all_cores() if quick else contextlib.nullcontext(),
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16, enabled=quick and bfloat16_is_fast()),
    ):
        for start in range(0, len(order), 16):
            batch = order[start : start + 16]
            padded = tokenizer.pad({"input_ids": [rows[row] for row in batch]}, return_tensors="pt")
            found = model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"])
            logits[batch] = found.logits.float().numpy()
    return logits


# ── the real run ────────────────────────────────────────────────────────────────────────────────────────────────

QUICK_ROWS = 2000
QUICK_CUT = (64, 128)
QUICK: dict[str, Any] = {
    "num_train_epochs": 1,
    "learning_rate": 2e-4,
    "warmup_ratio": 0.1,
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 32,
    "frozen_layers": 3,
    "eval_strategy": "no",
    "save_strategy": "no",
    "use_cpu": True,
}


def bfloat16_is_fast() -> bool:
    """Whether the processor multiplies bfloat16 in its own hardware."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "avx512_bf16" in flags.read_text(encoding="utf-8")


@contextlib.contextmanager
def _all_cores() -> Iterator[None]:
    """As many threads as there are cores: a graded run has one, so that jobs do not disturb one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def quick_run(fine_tune: Callable[..., Any], checkpoint: str, train: Any, validation: Any, seed: int) -> Any:
    """Fine-tune for about two minutes: the folder that it was saved in, and what came back."""
    with _all_cores():
        settings = QUICK | {"bf16": bfloat16_is_fast()}
        return run(fine_tune, checkpoint, train, validation, seed=seed, **settings)


# ── observers: the rest ─────────────────────────────────────────────────────────────────────────────────────────


def repeated(function: Callable[..., Any], *args: Any, times: int = 2) -> bool:
    """Whether a function gives the same every time."""
    first, *others = (function(*args) for _ in range(times))
    return all(other == first for other in others)


def keeps_old_gradients(overfit: Callable[..., Any], checkpoint: str, batch: dict[str, torch.Tensor]) -> bool:
    """Whether, in four steps, an optimizer meets gradients larger than what came since its last step."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    # The norms of what each parameter got since the last step, added up. By the parameters themselves, so that these
    # live on: another model's might come to lie where those of one that is gone had lain.
    fresh: dict[torch.Tensor, float] = {}
    kept = []

    def arrives(parameter: torch.Tensor) -> Callable[[torch.Tensor], None]:
        def add(gradient: torch.Tensor) -> None:
            fresh[parameter] += float(gradient.norm())

        return add

    def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for parameter in parameters:
            if parameter not in fresh:
                parameter.register_hook(arrives(parameter))
            elif parameter.grad is not None:
                kept.append(float(parameter.grad.norm()) > 1.01 * fresh[parameter] + 1e-6)
            fresh[parameter] = 0.0

    handle = register_optimizer_step_pre_hook(before_step)
    try:
        overfit(checkpoint, batch, 4)
    finally:
        handle.remove()
    return any(kept)


def gradient_of(loss: Callable[..., Any], logits: torch.Tensor, labels: torch.Tensor, **settings: Any) -> Any:
    """The gradient of a loss with regard to the logits, None where none flows back."""
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels, **settings)
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        return None
    value.backward()
    return leaf.grad


class Odd(torch.nn.Module):
    """A module with all that there is to sort: norms, shared and frozen parameters, names that mislead."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = torch.nn.Embedding(7, 4)
        self.output_layer_norm = torch.nn.LayerNorm(4)
        self.ln_f = torch.nn.LayerNorm(4, bias=False)
        self.LayerNormless = torch.nn.Linear(4, 4)  # no norm, for all its name says
        self.unbiased = torch.nn.Linear(4, 3, bias=False)
        self.bias = torch.nn.Parameter(torch.zeros(3))
        self.relative_bias = torch.nn.Parameter(torch.zeros(5))  # its own name is not `bias`
        self.alpha = torch.nn.Parameter(torch.ones(5))
        self.frozen = torch.nn.Linear(4, 4).requires_grad_(False)
        self.head = torch.nn.Linear(4, 7)
        self.head.weight = self.embeddings.weight  # shared
        self.norms = torch.nn.ModuleList([torch.nn.LayerNorm(4).requires_grad_(False), torch.nn.LayerNorm(4)])


def odd_module() -> Odd:
    """A module with all that there is to sort."""
    return Odd()


def distilbert() -> Any:
    """A small DistilBERT with a head."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    return DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=20, dim=8, hidden_dim=8, n_layers=1, n_heads=2)
    )


def bare_norm() -> torch.nn.Module:
    """A LayerNorm and nothing else."""
    return torch.nn.LayerNorm(3)


def sorted_by(decay_groups: Callable[..., Any], model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The groups of parameters that a function makes, by name, sorted; `stranger` is one that the model has not."""
    groups = decay_groups(model, weight_decay)
    if not isinstance(groups, list) or not all(isinstance(group, dict) and "params" in group for group in groups):
        raise TypeError("a list of dicts with 'params' was asked for")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [
        {"params": sorted(names.get(id(parameter), "stranger") for parameter in group["params"])}
        | {name: value for name, value in group.items() if name != "params"}
        for group in groups
    ]
