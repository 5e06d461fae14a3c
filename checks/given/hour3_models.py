"""What the exercises of hour 3 are handed, and how the checks look into what comes of it.

*Makers* turn plain arguments into models, tokenizers, optimizers, Datasets and folders. Their models are tiny, one or
two layers of 32 features, and have random weights drawn from a seed: the same whenever they are made. They leave the
random numbers seeded, so that a new head or dropout in the answer comes out the same every time, too.

*Observers* turn such objects back into numbers and texts, or watch a model while the answer uses it.
"""

import functools
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import (
    BartConfig,
    BartModel,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    DistilBertTokenizerFast,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

LIMIT = 64  # tokens that a tiny model takes, special ones included
LABELS = ("mixed", "good", "bad")  # in an order that nobody would guess

# The words that the tiny tokenizer knows; it spells all others letter by letter.
WORDS = """
    the an and or but not no of in on at by for with from to as is are was were be been it its this that these he
    she they we you his her their my your me him them who what which when where why how all any some so if then
    than too very just only even much more most one two first last new old young own other there here out up down
    over about into after before again never ever still well good great best better bad worst worse poor awful
    boring dull funny love loved like liked hate enjoy wonderful excellent perfect terrible waste nothing something
    movie movies film films story plot scene scenes acting actor actors cast characters character director script
    performance show series time times way people man men woman life world work thing things end ending year
    years make makes made see seen watch watched think know say says get gets go goes come comes take find give
    has have had do does did can could would should will may might because while through without between both
""".split()  # noqa: SIM905 - a list of so many would be a page of quotation marks


# ── makers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def small_tokenizer(limit: int = LIMIT, *, spells: bool = True) -> PreTrainedTokenizerBase:
    """BERT's kind of tokenizer with a few hundred pieces.

    Args:
        limit: its `model_max_length`.
        spells: whether it spells the words that it does not know; otherwise they are unknown.
    """
    characters = "abcdefghijklmnopqrstuvwxyz0123456789"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?'\"-()/:;<>&", "a", "i"]
    vocabulary += [piece for c in characters for piece in (c, f"##{c}") if piece not in vocabulary] if spells else []
    vocabulary += WORDS
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(vocabulary))
        return BertTokenizerFast(vocab_file=path, model_max_length=limit)


def _bert(limit: int = LIMIT, width: int = 32, layers: int = 2, dropout: float = 0.0, **others: Any) -> BertConfig:
    return BertConfig(
        vocab_size=320,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=limit,
        initializer_range=0.2,  # with BERT's own 0.02 a layer as narrow as this one would hardly do a thing
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **others,
    )


def encoder(seed: int, limit: int = LIMIT, width: int = 32) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A tiny BERT in evaluation mode, and a tokenizer."""
    torch.manual_seed(seed)
    return BertModel(_bert(limit, width)).eval(), small_tokenizer(limit)


def pretrained_bert(checkpoint: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A BERT with its trained weights, in evaluation mode, and its tokenizer."""
    return BertModel.from_pretrained(checkpoint).eval(), BertTokenizerFast.from_pretrained(checkpoint)


def pretrained_classifier(checkpoint: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A DistilBERT with a trained classification head, in evaluation mode, and its tokenizer."""
    model = DistilBertForSequenceClassification.from_pretrained(checkpoint).eval()
    return model, DistilBertTokenizerFast.from_pretrained(checkpoint)


def saved_encoder(architecture: str, seed: int) -> str:
    """The folder of a tiny checkpoint: `bert`, `distilbert` or `gpt2`, each with the tiny tokenizer."""
    torch.manual_seed(seed)
    if architecture == "bert":
        model: PreTrainedModel = BertModel(_bert())
    elif architecture == "distilbert":
        sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "max_position_embeddings": LIMIT}
        model = DistilBertModel(DistilBertConfig(vocab_size=320, initializer_range=0.2, **sizes))
    else:
        model = GPT2Model(GPT2Config(vocab_size=320, n_positions=LIMIT, n_embd=32, n_layer=2, n_head=2))
    return _saved(model, small_tokenizer())


def classifier(
    seed: int, labels: tuple[str, ...] = LABELS, dropout: float = 0.0
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A tiny BERT with a classification head, in evaluation mode, and a tokenizer."""
    torch.manual_seed(seed)
    names = dict(enumerate(labels))
    config = _bert(dropout=dropout, id2label=names, label2id={name: index for index, name in names.items()})
    return BertForSequenceClassification(config).eval(), small_tokenizer()


def saved_classifier(seed: int, labels: tuple[str, ...] = LABELS) -> str:
    """The folder of a checkpoint with the model and the tokenizer that `classifier` makes."""
    return _saved(*classifier(seed, tuple(labels)))


def _saved(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    folder = tempfile.mkdtemp()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def network(kind: str) -> nn.Module:
    """A network whose parameters are to be counted, by the name of what is special about it."""
    torch.manual_seed(0)
    with torch.device("meta"):  # sizes without numbers: BERT-base takes no memory and no time
        if kind == "all-MiniLM-L6-v2":
            return BertModel(BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536))
        if kind == "bert-base-uncased":
            return BertModel(BertConfig())
        if kind == "gpt2":
            return GPT2LMHeadModel(GPT2Config())
    if kind == "buffers":
        return nn.Sequential(nn.Embedding(10, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    if kind == "tied head":
        return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=8, n_embd=4, n_layer=1, n_head=2))
    if kind == "shared embedding":
        layers = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
                  (("layers", 1), ("attention_heads", 2), ("ffn_dim", 8))}  # fmt: skip
        return BartModel(BartConfig(vocab_size=50, d_model=4, max_position_embeddings=8, **layers))
    if kind == "no parameters":
        return nn.ReLU()
    model = BertModel(_bert(limit=8, width=4, layers=1))
    if kind == "frozen embeddings":
        model.embeddings.requires_grad_(False)
    return model


def in_training(
    seed: int, optimizer: str = "sgd", rate: float = 0.1, dropout: float = 0.0, leftover: float = 0.0
) -> tuple[PreTrainedModel, torch.optim.Optimizer]:
    """A classifier in evaluation mode and its optimizer, `sgd` or `adamw`.

    Args:
        leftover: the gradient that an earlier backward pass has left on every parameter; 0 for none.
    """
    model, _ = classifier(seed, dropout=dropout)
    made = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[optimizer](model.parameters(), lr=rate)
    if leftover:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, leftover)
    return model, made


def untrained(seed: int) -> PreTrainedModel:
    """A classifier of two labels and one layer, to be trained from nothing."""
    torch.manual_seed(seed)
    return BertForSequenceClassification(_bert(layers=1, num_labels=2))


@functools.cache
def _word_tokenizer() -> PreTrainedTokenizerBase:
    return small_tokenizer(spells=False)


def tokenized(texts: list[str], labels: list[int], length: int) -> Any:
    """A Dataset with `input_ids`, `attention_mask` and `label`, every row `length` tokens long."""
    from datasets import Dataset

    tokenizer = _word_tokenizer()
    columns = tokenizer(texts, truncation=True, padding="max_length", max_length=length)
    kept = {name: columns[name] for name in ("input_ids", "attention_mask")}
    return Dataset.from_dict(kept | {"label": labels})


def empty_folder() -> str:
    """A new folder."""
    return tempfile.mkdtemp()


# ── observers ───────────────────────────────────────────────────────────────────────────────────────────────────


def facts_of(model: Any, tokenizer: Any, text: str) -> dict[str, Any]:
    """What kind of model this is, its weights, and the ids that the tokenizer gives for a text."""
    if not isinstance(model, PreTrainedModel):
        raise TypeError(f"the first of the two should be a model of Transformers, and is a {type(model).__name__}")
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise TypeError(f"the second of the two should be a tokenizer, and is a {type(tokenizer).__name__}")
    return {
        "model": type(model).__name__,
        "training": any(part.training for part in model.modules()),
        "frozen": sum(not parameter.requires_grad for parameter in model.parameters()),
        "dtype": str(model.dtype),
        "weights": parameters_of(model),
        "input_ids": list(tokenizer(text)["input_ids"]),
    }


def parameters_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of every parameter, by its name."""
    return {name: parameter.detach().cpu().clone() for name, parameter in model.named_parameters()}


def gradient_through(
    pool: Callable[..., torch.Tensor], hidden: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor | None:
    """The gradient, with respect to `hidden`, of the sum of the squares that `pool` gives; None if there is none."""
    hidden = hidden.clone().requires_grad_(True)
    pooled = pool(hidden * 1.0, mask)
    if not (isinstance(pooled, torch.Tensor) and pooled.requires_grad):
        return None
    pooled.pow(2).sum().backward()
    return hidden.grad


def watch_inference(
    function: Callable[..., Any], texts: list[str], model: PreTrainedModel, tokenizer: Any, **options: Any
) -> dict[str, Any]:
    """What goes through a model while `function(texts, model, tokenizer, **options)` runs.

    Returns:
        `gradients`: whether a graph for gradients was recorded. `most_texts`: in the largest batch. `texts`: in all
        of them. `padding`: the share of padding in all positions.
    """
    passes: list[dict[str, Any]] = []
    with _watched(model, passes):
        result = function(texts, model, tokenizer, **options)
    ids = [one["ids"] for one in passes]
    padded = sum(int((batch == tokenizer.pad_token_id).sum()) for batch in ids)
    return {
        "gradients": any(one["gradients"] for one in passes) or bool(getattr(result, "requires_grad", False)),
        "most_texts": max((len(batch) for batch in ids), default=0),
        "texts": sum(len(batch) for batch in ids),
        "padding": padded / max(1, sum(batch.numel() for batch in ids)),
    }


def watch_step(
    step: Callable[..., Any], model: PreTrainedModel, batch: dict[str, torch.Tensor], optimizer: Any
) -> list[bool]:
    """Whether the model was in training mode, at each of its passes during one training step."""
    passes: list[dict[str, Any]] = []
    with _watched(model, passes):
        step(model, batch, optimizer)
    return [one["training"] for one in passes]


def watch_training(
    train: Callable[..., dict[str, Any]], model: PreTrainedModel, rows: Any, evaluation: Any, output_dir: str
) -> dict[str, Any]:
    """A training, and what went through the model meanwhile.

    Returns:
        `result`: the losses and the accuracy that `train` returned, not its timings. `passes`: in order,
        `[training mode?, how many rows]`; passes in one mode, one after the other, are taken together. `batch`: the
        rows of the largest batch in training mode. `loss`: the mean loss of these. `moved`: the most that any
        parameter changed. `settings`: of the last Trainer that trained, the learning rate, when it saves checkpoints
        and whether its folder is `output_dir`.
    """
    passes: list[dict[str, Any]] = []
    used: list[TrainingArguments] = []
    before = parameters_of(model)
    with _watched(model, passes), _watched_trainers(used):
        result = train(model, rows, evaluation, output_dir)
    together: list[list[Any]] = []
    for one in passes:
        if together and together[-1][0] == one["training"]:
            together[-1][1] += len(one["ids"])
        else:
            together.append([one["training"], len(one["ids"])])
    learning = [one for one in passes if one["training"]]
    changes = [float((now - before[name]).abs().max()) for name, now in parameters_of(model).items()]
    return {
        "result": {name: result[name] for name in ("train_loss", "eval_loss", "eval_accuracy") if name in result},
        "passes": together,
        "batch": max((len(one["ids"]) for one in learning), default=0),
        "loss": sum(one["loss"] for one in learning) / max(1, len(learning)),
        "moved": max(changes),
        "settings": {
            "learning_rate": float(used[-1].learning_rate),
            "save_strategy": str(used[-1].save_strategy.value),
            "in output_dir": os.path.realpath(str(used[-1].output_dir)) == os.path.realpath(output_dir),
        }
        if used
        else {},
    }


def logits_of(model: PreTrainedModel, rows: Any) -> torch.Tensor:
    """What a classifier says about every row of a Dataset, dropout off, `(N, labels)`."""
    model = model.to("cpu").eval()
    inputs = {name: torch.tensor(rows[name][:]) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        return model(**inputs).logits


@contextmanager
def _watched_trainers(used: list[TrainingArguments]) -> Iterator[None]:
    """Note the settings of every Trainer that trains."""
    original = Trainer.train

    @functools.wraps(original)
    def noted(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        used.append(self.args)
        return original(self, *args, **kwargs)

    Trainer.train = noted
    try:
        yield
    finally:
        Trainer.train = original


@contextmanager
def _watched(model: PreTrainedModel, passes: list[dict[str, Any]]) -> Iterator[None]:
    """Note every pass through the model: its token ids, the mode, and whether gradients were recorded."""
    forward = model.forward
    takes = inspect.signature(forward)

    @functools.wraps(forward)
    def noted(*args: Any, **kwargs: Any) -> Any:
        ids = takes.bind(*args, **kwargs).arguments["input_ids"].detach().cpu().clone()
        output = forward(*args, **kwargs)
        loss = getattr(output, "loss", None)
        seen = {"training": model.training, "gradients": torch.is_grad_enabled()}
        passes.append({"ids": ids, "loss": 0.0 if loss is None else float(loss), **seen})
        return output

    model.forward = noted
    try:
        yield
    finally:
        del model.forward
