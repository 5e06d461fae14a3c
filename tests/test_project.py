"""The mini-project, from the command to the card, with a model and data so small that it takes seconds."""

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdive import assets, project
from deepdive.course import load_course
from deepdive.project import Budget, CannotRun, Result, model_card, run_project
from tests.conftest import ROOT, Run

COURSE = load_course(ROOT)
TINY = Budget(
    "tiny",
    train=60,
    test=40,
    head=8,
    tail=8,
    frozen_layers=1,
    settings={
        "num_train_epochs": 2,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-3,
        "logging_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 5,
        "save_strategy": "steps",
        "save_steps": 5,
        "disable_tqdm": True,
        "use_cpu": True,
    },
)


@pytest.fixture
def tiny_run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the project with a tiny encoder in DistilBERT's place, and 20 reviews to watch the training by."""
    from checks.given.hour5_finetuning import small_encoder

    encoder = small_encoder()
    monkeypatch.setattr(assets, "checkpoint", lambda name: encoder)
    monkeypatch.setattr(project, "_VALIDATION", 20)
    monkeypatch.setattr(project, "passes", lambda *_: False)

    def call(out: Path, budget: Budget = TINY, **options: Any) -> Result:
        return run_project(COURSE, budget, out, **options)

    return call


def weights_in(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def same_weights(*runs: Path) -> None:
    whole, parted = (weights_in(run / "model") for run in runs)
    assert whole.keys() == parted.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(values, parted[name], err_msg=name)


def interrupt_at_step(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Trainer

    step = Trainer.training_step
    taken = []

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        taken.append(1)
        if len(taken) == number:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", interrupted)


def test_a_run_leaves_a_model_its_numbers_its_pictures_and_its_card(
    tiny_run: Callable[..., Result], tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    result = tiny_run(tmp_path)
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").config.id2label[1] == "pos"
    assert AutoTokenizer.from_pretrained(tmp_path / "model").cls_token == "[CLS]"
    measured = json.loads((tmp_path / "metrics.json").read_text())
    assert measured == result.measured
    assert 0 <= measured["accuracy"] <= 1
    assert 0.5 <= measured["majority"] <= 0.8
    card = (tmp_path / "README.md").read_text()
    assert f"**{100 * measured['accuracy']:.1f} %**" in card
    assert "40 reviews it has not seen" in card
    assert "# DistilBERT's architecture, " in card  # a stand-in is never passed off as the original
    assert "weights are MiniLM's" in card
    assert "The test split is 5,000 of the training reviews" in card
    assert "**Budget**: tiny" in card
    for baseline in ("tfidf", "majority"):
        assert f"| {100 * measured[baseline]:.1f} % |" in card
    for picture in ("learning-curve", "confusion-matrix", "reliability"):
        assert ET.parse(tmp_path / f"{picture}.svg").getroot().tag.endswith("svg")
        assert f"({picture}.svg)" in card


def test_no_review_is_both_trained_on_and_measured_on() -> None:
    for budget in project.BUDGETS.values():
        train, validation, test = (set(texts) for texts, _ in project._rows(budget, seed=0))
        assert not train & test
        assert not validation & test


def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_been(
    tiny_run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_run(tmp_path / "whole")
    with monkeypatch.context() as context:
        interrupt_at_step(8, context)
        with pytest.raises(KeyboardInterrupt):
            tiny_run(tmp_path / "parted")
    assert not (tmp_path / "parted" / "model").exists()
    tiny_run(tmp_path / "parted")
    assert "after an interruption" in (tmp_path / "parted" / "README.md").read_text()
    same_weights(tmp_path / "whole", tmp_path / "parted")


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(
    tiny_run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_run(tmp_path / "whole")
    with monkeypatch.context() as context:
        interrupt_at_step(13, context)
        with pytest.raises(KeyboardInterrupt):
            tiny_run(tmp_path / "parted")
    state = tmp_path / "parted" / "checkpoints" / "checkpoint-10" / "trainer_state.json"
    state.write_bytes(state.read_bytes()[:-20])
    tiny_run(tmp_path / "parted")
    same_weights(tmp_path / "whole", tmp_path / "parted")


# A process that ends itself at its eighth step, and is a run of the project as any other in all else.
ENDED_AT_STEP_8 = """
import os, sys
from tests.test_project import TINY
from checks.given.hour5_finetuning import small_encoder
from deepdive import assets, cli, project
from transformers import Trainer

encoder, step, taken = small_encoder(), Trainer.training_step, []
assets.checkpoint = lambda name: encoder
project._VALIDATION = 20
project.passes = lambda *_: False
project.BUDGETS["quick"] = TINY

def ended(self, *args, **kwargs):
    taken.append(1)
    if len(taken) == 8:
        os.kill(os.getpid(), int(sys.argv[1]))
    return step(self, *args, **kwargs)

if int(sys.argv[1]):
    Trainer.training_step = ended
cli.app(["project", "--out", sys.argv[2]])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        pytest.param(signal.SIGINT, 2, "the same command goes on from the last checkpoint", id="Ctrl-C"),
        pytest.param(9, -9, "", id="kill -9"),
    ],
)
def test_a_process_ended_in_the_middle_is_gone_on_with(
    tiny_run: Callable[..., Result], tmp_path: Path, how: int, code: int, told: str
) -> None:
    def process(how: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", ENDED_AT_STEP_8, str(int(how)), str(tmp_path / "parted")]
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "."}, capture_output=True, text=True, timeout=300
        )

    ended = process(how)
    assert (ended.returncode, told in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert {path.name for path in (tmp_path / "parted").iterdir()} == {"run.json", "checkpoints"}
    again = process(0)
    assert again.returncode == 0, again.stderr
    assert "of reviews it has not seen" in again.stdout
    assert "after an interruption" in (tmp_path / "parted" / "README.md").read_text()
    tiny_run(tmp_path / "whole")
    same_weights(tmp_path / "whole", tmp_path / "parted")


def test_a_finished_run_is_not_repeated(tiny_run: Callable[..., Result], tmp_path: Path) -> None:
    first = tiny_run(tmp_path)
    card = (tmp_path / "README.md").read_text()
    again = tiny_run(tmp_path)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.measured == first.measured
    assert (tmp_path / "README.md").read_text() == card
    assert not tiny_run(tmp_path, fresh=True).repeated


def test_the_full_budget_trains_by_the_plan(
    tiny_run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Trainer

    train, seen = Trainer.train, []

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(self)
        return train(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "train", watched)
    full = project.BUDGETS["full"]
    assert (full.train, full.test, full.frozen_layers) == (None, None, 0)  # all reviews, all of the model
    assert full.head + full.tail + 2 == 512
    tiny_run(tmp_path, replace(full, train=60, test=40, head=8, tail=8))
    (trainer,) = seen
    args = trainer.args
    assert (args.learning_rate, args.num_train_epochs, args.weight_decay) == (2e-5, 2, 0.01)
    assert (args.per_device_train_batch_size, args.per_device_eval_batch_size) == (16, 16)
    assert (args.warmup_steps, args.warmup_ratio, args.lr_scheduler_type) == (0, 0.0, "linear")
    assert all(parameter.requires_grad for parameter in trainer.model.parameters())
    assert trainer.state.global_step == 2 * 4


@pytest.mark.parametrize(
    ("has_bfloat16", "precision"), [(True, {"bf16": True}), (False, {"fp16": True})], ids=["Ampere", "Turing"]
)
def test_a_gpu_trains_in_mixed_precision(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, precision: dict[str, bool]
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bfloat16)
    assert project._fitting_precision() == precision


def test_a_folder_with_another_run_is_left_alone_unless_told(tiny_run: Callable[..., Result], tmp_path: Path) -> None:
    tiny_run(tmp_path)
    before = (tmp_path / "metrics.json").read_text()
    with pytest.raises(CannotRun, match=r'"budget": "tiny", "seed": 0.*--fresh'):
        tiny_run(tmp_path, seed=1)
    assert (tmp_path / "metrics.json").read_text() == before
    tiny_run(tmp_path, seed=1, fresh=True)
    assert (tmp_path / "metrics.json").read_text() != before


def test_frozen_layers_stay_as_they_were(tiny_run: Callable[..., Result], tmp_path: Path) -> None:
    tiny_run(tmp_path)
    before, after = weights_in(Path(assets.checkpoint("distilbert-base-uncased"))), weights_in(tmp_path / "model")
    changed = {
        name
        for name, values in before.items()
        if not np.array_equal(values, after[name if name in after else f"distilbert.{name}"])
    }
    assert changed
    assert not [name for name in changed if "embeddings" in name or "layer.0." in name]


def test_the_card_says_whose_functions_were_used() -> None:
    measured = dict.fromkeys(
        ("accuracy", "accuracy_within", "majority", "tfidf", "calibration_error", "seconds", "steps"), 0.5
    )
    used = project._Used(TINY, 0, 60, 40, "cpu, float32", {"build_trainer": "yours"})
    assert "yours `build_trainer`" in model_card(measured, used)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--budget", "huge"], "there is no budget 'huge': quick or full"),
        (["--out", "project"], "this course has no exercise calibration_error"),
        (["--out", "conftest.py"], "cannot be written"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_sentence(run: Run, options: list[str], told: str) -> None:
    result = run("deepdive", "project", *options)
    assert result.returncode != 0
    assert told in " ".join((result.stdout + result.stderr).split())
    assert "Traceback" not in result.stderr
