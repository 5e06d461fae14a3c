"""The mini-project of hour 5: DistilBERT fine-tuned on IMDb, what it came to, its pictures and its model card.

    deepdive project                    # about two minutes on two cores
    deepdive project --budget full      # the plan's settings on all reviews: hours on a processor, minutes on a GPU

The Trainer is made by the learner's `training_arguments` and `build_trainer` where these pass their checks, else by
the reference's. A run that was interrupted, or killed, goes on from its last checkpoint when the command is given
again; one that is finished is not repeated.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from deepdive import assets
from deepdive.answer_files import AnswerFileError, StillToDo
from deepdive.bench.standing import answers_of, passes
from deepdive.course import Course
from deepdive.diagnose import right_answer
from deepdive.expect import WrongAnswer
from deepdive.pictures.confusion import confusion_matrix
from deepdive.pictures.curve import learning_curve
from deepdive.pictures.gallery import DRAWN
from deepdive.pictures.reliability import reliability
from deepdive.whole import whole

CHECKPOINT = "distilbert-base-uncased"
LABELS = ("neg", "pos")
_RUN = "run.json"  # what a folder's run was asked to do
_MEASURED = "metrics.json"  # written last of all: where it is, the run is finished


class CannotRun(ValueError):
    """There is no such run to be had, or not in this folder; the message says why and what to do."""


@dataclass(frozen=True)
class Budget:
    """How much of everything a run may use.

    Args:
        name: what it is called.
        train: reviews to train on; None for all of the training split.
        test: reviews that the result is measured on, none of which was trained on; None for the whole test split.
        head: tokens kept of the start of a longer review,
        tail: and of its end.
        frozen_layers: the embeddings and so many of the lowest layers stay as they are; 0 trains everything.
        settings: of the training, over the plan's.
    """

    name: str
    train: int | None
    test: int | None
    head: int
    tail: int
    frozen_layers: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


_VALIDATION = 200  # reviews of the training split that are kept apart, for the learning curve

BUDGETS = {
    # Measured on two cores (benchmarks/README.md): the best that was found for two minutes.
    "quick": Budget(
        "quick",
        train=2_000,
        test=1_000,
        head=64,
        tail=128,
        frozen_layers=3,
        settings={
            "num_train_epochs": 1,
            "learning_rate": 2e-4,
            "warmup_ratio": 0.1,
            "per_device_train_batch_size": 8,
            "per_device_eval_batch_size": 32,
            "logging_steps": 25,
            "eval_strategy": "steps",
            "eval_steps": 125,
            "save_strategy": "steps",
            "save_steps": 125,
        },
    ),
    # The plan's own: 2 epochs, batches of 16, 2e-5, weight decay 0.01; 510 tokens and two special ones are what
    # DistilBERT takes.
    "full": Budget(
        "full",
        train=None,
        test=None,
        head=128,
        tail=382,
        settings={"eval_strategy": "steps", "eval_steps": 250, "save_strategy": "steps", "save_steps": 250},
    ),
}


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        measured: by name, numbers: of the model (`accuracy`, `calibration_error`, …), the baselines, the times.
        repeated: whether it was there already, from an earlier run.
    """

    measured: dict[str, float]
    repeated: bool = False


def run_project(course: Course, budget: Budget, out: Path, *, seed: int = 0, fresh: bool = False) -> Result:
    """Fine-tune, measure, draw and write the card.

    Args:
        course: whose answers are used.
        budget: how much.
        out: the folder for everything; what an interrupted run left there is gone on with, what a finished one left
            is given back.
        seed: of all that is random.
        fresh: start over, whatever is there.

    Raises:
        CannotRun: the folder holds a run with other settings, or the course has no hour 5.
        AssetError: weights or reviews cannot be had.
        KeyboardInterrupt: as it is; the checkpoints stay.
    """
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, {"budget": budget.name, "seed": seed, "assets": assets.describe()["fingerprint"]}, fresh=fresh)
    if (finished := out / _MEASURED).exists():
        return Result(json.loads(finished.read_text(encoding="utf-8")), repeated=True)
    error, whose = _function(course, "calibration_error")
    train, validation, test = _rows(budget, seed)
    began = perf_counter()
    trainer, makers = _trainer(course, budget, out, train, validation, seed)
    checkpoint = _last_checkpoint(out)
    trainer.train(resume_from_checkpoint=checkpoint)
    trained = perf_counter() - began
    trainer.save_model(str(out / "model"))
    logits = trainer.predict(_tokenized(course, budget, *test)).predictions
    probabilities = _softmax(logits)
    makers["calibration_error"] = whose
    measured = _measured(probabilities, test[1]) | {
        "calibration_error": float(error(probabilities, np.array(test[1]))),
        "majority": max(np.bincount(test[1])) / len(test[1]),
        "tfidf": _tfidf(train, test),
        "seconds": trained,
        "steps": float(trainer.state.global_step),
    }
    _draw(out, trainer.state.log_history, probabilities, test[1])
    machine = f"{trainer.args.device}, {_precision(trainer.args)}"
    used = _Used(budget, seed, len(train[0]), len(test[0]), machine, makers, resumed=checkpoint is not None)
    _write(out / "README.md", model_card(measured, used))
    _write(finished, json.dumps(measured, indent=2) + "\n")
    return Result(measured)


# ── what goes in ────────────────────────────────────────────────────────────────────────────────────────────────

Reviews = tuple[list[str], list[int]]


def _claim(out: Path, asked: dict[str, Any], *, fresh: bool) -> None:
    """Make the folder this run's, unless it is another's."""
    path = out / _RUN
    if fresh:
        (out / _MEASURED).unlink(missing_ok=True)
        for folder in _checkpoints(out):
            for file in folder.rglob("*"):
                if file.is_file():
                    file.unlink()
    elif path.exists() and (before := path.read_text(encoding="utf-8")) != json.dumps(asked):
        raise CannotRun(f"{out} holds another run ({before}): give --fresh to start over, or another --out")
    _write(path, json.dumps(asked))


def _rows(budget: Budget, seed: int) -> tuple[Reviews, Reviews, Reviews]:
    """Reviews to train on, some of the same split to watch the training by, and others to measure the result on."""
    texts, labels = assets.reviews("train")
    order = random.Random(seed).sample(range(len(texts)), len(texts))
    wanted = order[_VALIDATION:] if budget.train is None else order[_VALIDATION : _VALIDATION + budget.train]
    others, their_labels = assets.reviews("test")
    held_out = random.Random(seed + 1).sample(range(len(others)), min(budget.test or len(others), len(others)))
    return (
        ([texts[row] for row in wanted], [labels[row] for row in wanted]),
        ([texts[row] for row in order[:_VALIDATION]], [labels[row] for row in order[:_VALIDATION]]),
        ([others[row] for row in held_out], [their_labels[row] for row in held_out]),
    )


def _tokenized(course: Course, budget: Budget, texts: list[str], labels: list[int]) -> Any:
    from deepdive.diagnose import course_module

    given = course_module(course, "checks.given.hour5_finetuning")
    return given.tokenized(assets.checkpoint(CHECKPOINT), texts, labels, budget.head, budget.tail)


def _trainer(
    course: Course, budget: Budget, out: Path, train: Reviews, validation: Reviews, seed: int
) -> tuple[Any, dict[str, str]]:
    """The Trainer, and by the name of each function of the course whose made it."""
    from transformers import set_seed

    arguments, whose_arguments = _function(course, "training_arguments")
    build, whose_trainer = _function(course, "build_trainer")
    settings = {"seed": seed, "save_total_limit": 2} | _fitting_precision() | dict(budget.settings)
    set_seed(seed)  # the new head is drawn when the model is loaded
    trainer = build(
        assets.checkpoint(CHECKPOINT),
        _tokenized(course, budget, *train),
        _tokenized(course, budget, *validation),
        arguments(str(out / "checkpoints"), **settings),
    )
    encoder = trainer.model.distilbert
    if budget.frozen_layers:
        encoder.embeddings.requires_grad_(False)
        encoder.transformer.layer[: budget.frozen_layers].requires_grad_(False)
    return trainer, {"training_arguments": whose_arguments, "build_trainer": whose_trainer}


def _fitting_precision() -> dict[str, bool]:
    """Mixed precision where the machine computes it in hardware: bfloat16, on older GPUs float16."""
    import torch

    if torch.cuda.is_available():
        return {"bf16": True} if torch.cuda.is_bf16_supported() else {"fp16": True}
    flags = Path("/proc/cpuinfo")
    fast = flags.exists() and "avx512_bf16" in flags.read_text(encoding="utf-8")
    return {"bf16": True, "use_cpu": True} if fast else {}


def _function(course: Course, name: str) -> tuple[Callable[..., Any], str]:
    """The function of an exercise, the learner's if it passes; and whose it is."""
    try:
        exercise = course.exercise(name)
    except KeyError:
        raise CannotRun(f"this course has no exercise {name}, which the project needs") from None
    if passes(course, exercise):
        with suppress(AnswerFileError, StillToDo, WrongAnswer):
            return answers_of(course).function(exercise), "yours"
    return right_answer(course, exercise), "the reference's"


def _last_checkpoint(out: Path) -> str | None:
    """The checkpoint of an interrupted run to go on from; the newest that was written to its end."""
    return next((str(folder) for folder in reversed(_checkpoints(out)) if _is_whole(folder)), None)


def _is_whole(checkpoint: Path) -> bool:
    """Whether the state, which the Trainer writes last, is there to its last brace."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _checkpoints(out: Path) -> list[Path]:
    numbered = [(re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in (out / "checkpoints").glob("*")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in numbered if match)]


# ── what comes out ──────────────────────────────────────────────────────────────────────────────────────────────


def _softmax(logits: np.ndarray) -> np.ndarray:
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64)
    shares: np.ndarray = exps / exps.sum(axis=-1, keepdims=True)
    return shares


def _measured(probabilities: np.ndarray, labels: Sequence[int]) -> dict[str, float]:
    right = probabilities.argmax(axis=-1) == np.array(labels)
    accuracy = float(right.mean())
    # Of so many reviews drawn at random, the share that is right varies by so much: two standard errors.
    return {"accuracy": accuracy, "accuracy_within": 2 * (accuracy * (1 - accuracy) / len(right)) ** 0.5}


def _tfidf(train: Reviews, test: Reviews) -> float:
    """What counting words comes to: TF-IDF and logistic regression on the same reviews, whole ones."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=10))
    return float(model.fit(*train).score(*test))


def _draw(
    out: Path, history: Sequence[Mapping[str, float]], probabilities: np.ndarray, labels: Sequence[int]
) -> None:
    called, right = probabilities.argmax(axis=-1), np.array(labels)
    counts = [[int(((right == i) & (called == j)).sum()) for j in range(len(LABELS))] for i in range(len(LABELS))]
    lines = {
        told: [(entry["step"], entry[name]) for entry in history if name in entry]
        for name, told in (("loss", "reviews trained on"), ("eval_loss", "others"))
    }
    confidences, hits = probabilities.max(axis=-1).tolist(), (called == right).tolist()
    drawn = {"lines": lines, "counts": counts, "labels": LABELS, "confidences": confidences, "right": hits}
    _write(out / DRAWN, json.dumps(drawn))
    pictures = {
        "learning-curve.svg": learning_curve(lines),
        "confusion-matrix.svg": confusion_matrix(counts, LABELS),
        "reliability.svg": reliability(confidences, hits),
    }
    for name, picture in pictures.items():
        _write(out / name, picture.file())


@dataclass(frozen=True)
class _Used:
    budget: Budget
    seed: int
    train: int
    test: int
    machine: str
    makers: dict[str, str]
    resumed: bool = False


def model_card(measured: Mapping[str, float], used: _Used) -> str:
    """The card of the model, as the Hub shows it: Markdown below a few lines of YAML."""
    described = assets.describe()
    used_assets = [described["assets"][name] for name in (CHECKPOINT, "imdb")]
    weights, imdb = (f"{asset['what']} {asset['stand_in']}".strip() for asset in used_assets)
    architecture = "DistilBERT's architecture" if used_assets[0]["stand_in"] else "DistilBERT"
    resumed = " (after an interruption; the time is that of the last part)" if used.resumed else ""
    percent = {name: f"{100 * measured[name]:.1f} %" for name in ("accuracy", "accuracy_within", "majority", "tfidf")}
    settings = {"frozen layers": used.budget.frozen_layers, "seed": used.seed, **used.budget.settings}
    made_by = ", ".join(f"{whose} `{name}`" for name, whose in used.makers.items())
    return f"""---
language: en
pipeline_tag: text-classification
library_name: transformers
tags: [sentiment-analysis, imdb]
---

# {architecture}, fine-tuned on IMDb

Says whether an English film review is positive. The mini-project of a six-hour course, made for learning.

| accuracy on {used.test:,} reviews it has not seen | |
| --- | --- |
| this model | **{percent["accuracy"]}** ± {percent["accuracy_within"]} |
| TF-IDF with logistic regression, same reviews to learn from | {percent["tfidf"]} |
| always the more frequent label | {percent["majority"]} |

After ± are two standard errors: so much depends on which reviews it was measured on.
Expected calibration error, ten bins: {measured["calibration_error"]:.3f}.

![learning curve](learning-curve.svg)
![confusion matrix](confusion-matrix.svg)
![reliability](reliability.svg)

## How it was made

- **Weights**: {weights}
- **Reviews**: {imdb} {used.train:,} to train on; of longer ones the first {used.budget.head} and the last
  {used.budget.tail} tokens.
- **Budget**: {used.budget.name}.
- **Training**: {measured["steps"]:.0f} steps, {measured["seconds"]:.0f} s on {used.machine}{resumed};
  {", ".join(f"{name} {value}" for name, value in settings.items())}; the rest as the plan has it.
- **By** {made_by}; torch {version("torch")}, transformers {version("transformers")}.

## What it is not good for

It has seen film reviews of one site, in English, and two labels. Irony, mixed feelings and texts about anything else
it was never asked about.
"""


def _precision(arguments: Any) -> str:
    return "bfloat16" if arguments.bf16 else "float16" if arguments.fp16 else "float32"


def _write(path: Path, text: str) -> None:
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
