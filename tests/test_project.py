"""The mini-project, from the command to the card, with a model and data so small that it takes seconds."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
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

    def call(out: Path, **options: Any) -> Result:
        return run_project(COURSE, TINY, out, **options)

    return call


def weights_in(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


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
    assert "weights are MiniLM's" in card  # a stand-in is never passed off as the original
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
    whole, parted = weights_in(tmp_path / "whole" / "model"), weights_in(tmp_path / "parted" / "model")
    assert whole.keys() == parted.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(values, parted[name], err_msg=name)


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
