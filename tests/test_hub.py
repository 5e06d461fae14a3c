"""The Hub's own assets without the Hub: its cache, laid out as it lays it out, and no network.

The files are the embedded ones, since the originals are not to be had offline; the names, the folders and what reads
them are the Hub's.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from deepdive import assets
from deepdive.assets.recipes import CATALOGUE
from deepdive.course import load_course
from deepdive.jail.zygote import choose_tier

ROOT = Path(__file__).resolve().parent.parent

IMDB_CARD = """---
configs:
- config_name: plain_text
  data_files:
  - split: train
    path: plain_text/train-*
  - split: test
    path: plain_text/test-*
  default: true
dataset_info:
  config_name: plain_text
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
---
"""

Hub = Callable[..., subprocess.CompletedProcess[str]]


def keep(home: Path, kind: str, name: str, files: dict[str, Path | str]) -> None:
    """Put a repository into the cache as the Hub's library does: blobs by their hash, and links to them."""
    repository = home / "hub" / f"{kind}s--{name.replace('/', '--')}"
    commit = hashlib.sha1(name.encode()).hexdigest()
    for folder in ("blobs", "refs"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    for path, content in files.items():
        if isinstance(content, str):
            blob = repository / "blobs" / hashlib.sha1(content.encode()).hexdigest()
            blob.write_text(content)
        else:
            blob = repository / "blobs" / hashlib.sha256(content.read_bytes()).hexdigest()
            try:
                os.link(content, blob)  # nobody writes to it, and some have ninety megabytes
            except OSError:  # on another disk
                shutil.copyfile(content, blob)
        link = repository / "snapshots" / commit / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for HF_HOME in which every asset has been downloaded, and a model that is nobody's business."""
    home = tmp_path_factory.mktemp("huggingface")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DEEPDIVE_ASSETS", raising=False)
        for name, asset in CATALOGUE.items():
            if asset.hub_type == "model":
                kept = {file.name: file for file in assets.path(name).iterdir()}
                keep(
                    home,
                    "model",
                    asset.hub,
                    {n: f for n, f in kept.items() if n not in ("manifest.json", "README.md")},
                )
        imdb, sentences = assets.path("imdb"), assets.path("rotten_tomatoes")
    # As on the Hub: GPT-2's tokenizer has a model's configuration beside it, and IMDb its files in a folder.
    gpt2 = next((home / "hub" / "models--gpt2" / "snapshots").iterdir())
    (gpt2 / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024}))
    files: dict[str, Path | str] = {"README.md": IMDB_CARD}
    files["plain_text/train-00000-of-00001.parquet"] = imdb / "all.parquet"
    files["plain_text/test-00000-of-00001.parquet"] = imdb / "test.parquet"
    keep(home, "dataset", CATALOGUE["imdb"].hub, files)
    card = {"README.md": sentences / "README.md", "train.parquet": sentences / "train.parquet"}
    keep(home, "dataset", CATALOGUE["rotten_tomatoes"].hub, dict(card))
    keep(home, "model", "somebody/private", {"config.json": "{}"})
    return home


@pytest.fixture
def run() -> Hub:
    """Run a command with the Hub's assets, no network, and this folder as HF_HOME."""

    def call(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
        set_aside = ("HF_", "PYTEST", "DEEPDIVE_", "COLUMNS", "TRANSFORMERS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(set_aside)}
        chosen = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "DEEPDIVE_ASSETS": "hub", "COLUMNS": "100"}
        return subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**kept, **chosen, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            timeout=600,
        )

    return call


LEARNERS_CODE = """
import json
from deepdive.assets import checkpoint, encode, reviews, sample_reviews, use_offline, weights
use_offline()
from datasets import load_dataset
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

def told(name, kind=AutoModel):
    model, tokenizer = kind.from_pretrained(checkpoint(name)), AutoTokenizer.from_pretrained(checkpoint(name))
    return [type(model).__name__, tokenizer.tokenize("unaffable")]

imdb = load_dataset(checkpoint("imdb"), cache_dir="CACHE")
print(json.dumps({
    "models": {name: told(name) for name in ("bert-base-uncased", "distilbert-base-uncased", "minilm")},
    "sentiment": told("sentiment", AutoModelForSequenceClassification),
    "gpt2": AutoTokenizer.from_pretrained(checkpoint("gpt2")).tokenize("unaffable"),
    "pipeline": pipeline("text-classification", model=checkpoint("sentiment"))("A wonderful film.")[0]["label"],
    "names": [checkpoint(name) for name in ("gpt2", "minilm", "sentiment")],
    "ids": encode("bert-base-uncased", ["unaffable"])[0].tolist(),
    "weights": len(weights("minilm")),
    "reviews": {split: len(reviews(split)[0]) for split in ("train", "test", "all")},
    "sentences": len(reviews("train", "rotten_tomatoes")[0]),
    "sample": sample_reviews(3, seed=1),
    "loaded": {split: [rows.num_rows, rows.features["label"].names] for split, rows in imdb.items()},
}))
"""


def test_a_learners_code_runs_by_the_hubs_names(home: Path, run: Hub, tmp_path: Path) -> None:
    done = run(home, "-c", LEARNERS_CODE.replace("CACHE", str(tmp_path)))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    pieces = ["una", "##ffa", "##ble"]
    assert said["models"] == {
        "bert-base-uncased": ["BertModel", pieces],
        "distilbert-base-uncased": ["DistilBertModel", pieces],
        "minilm": ["BertModel", pieces],
    }
    assert said["sentiment"] == ["DistilBertForSequenceClassification", pieces]
    assert said["gpt2"] == ["un", "aff", "able"]
    assert said["pipeline"] == "POSITIVE"
    assert said["names"] == [CATALOGUE[name].hub for name in ("gpt2", "minilm", "sentiment")]
    assert said["ids"] == [[101, 14477, 20961, 3468, 102]]
    assert said["weights"] == 104
    assert said["reviews"] == {"train": 25_000, "test": 5_000, "all": 30_000}
    assert said["sentences"] == 8_530
    assert said["loaded"] == {"train": [25_000, ["neg", "pos"]], "test": [5_000, ["neg", "pos"]]}
    texts, labels = said["sample"]
    assert len(set(texts)) == 3
    assert set(labels) <= {0, 1}


def test_the_plans_own_lines_print_what_hour_2_says_they_print(home: Path, run: Hub) -> None:
    code, printed = re.findall(r"```\w*\n(.*?)```", load_course(ROOT).hour(2).plan, re.DOTALL)
    done = run(home, "-c", textwrap.dedent(code))
    assert done.stdout == textwrap.dedent(printed).strip() + "\n", done.stderr


def test_a_run_passes_and_leaves_nothing_in_the_learners_caches(home: Path, run: Hub) -> None:
    names = ("encode_batch", "classify", "tokenize")  # of hours 2, 3 and 4
    wanted = [word for name in names for word in ("--exercise", name)]
    done = run(home, "-m", "pytest", "--against=solutions", "-q", *wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert [folder.name for folder in home.iterdir()] == ["hub"]  # no `datasets`, prepared or mapped


@pytest.mark.slow
def test_all_of_hours_2_to_4_pass_by_the_hubs_names(home: Path, run: Hub) -> None:
    hours = ("--hour", "2", "--hour", "3", "--hour", "4")
    # On a machine with other work a training takes longer than the ten seconds that an answer has.
    done = run(home, "-m", "pytest", "--against=solutions", "-q", "--time-limit", "120", *hours)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [folder.name for folder in home.iterdir()] == ["hub"]


@pytest.mark.slow
@pytest.mark.skipif(choose_tier().tier is None, reason="this machine allows no jail")
@pytest.mark.parametrize("hour", [3, 4])
def test_graded_code_gets_them_in_its_jail(hour: int, home: Path, run: Hub, tmp_path: Path) -> None:
    [solution] = (ROOT / "solutions").glob(f"hour{hour}_*.py")
    command = ("-m", "deepdive.cli", "grade", str(solution), "--hour", str(hour), "--json", str(tmp_path))
    done = run(home, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / f"{solution.stem}.json").read_text(encoding="utf-8"))
    states = {(verdict["exercise"], verdict["check"]): verdict["state"] for verdict in record["verdicts"]}
    assert {name: state for name, state in states.items() if state not in ("passed", "inconclusive")} == {}
    assert record["assets"]["source"] == "hub"


def test_a_jail_is_shown_the_assets_and_nothing_else_of_the_cache(home: Path, run: Hub) -> None:
    done = run(home, "-c", "from deepdive import assets; print(*assets.shown()[0], sep='\\n')")
    shown = {Path(line) for line in done.stdout.splitlines()}
    there = set((home / "hub").iterdir())
    assert there - shown == {home / "hub" / "models--somebody--private"}
    assert shown < there


NEEDING_ASSETS = [
    ("-m", "pytest", "--against=solutions", "--exercise", "load_encoder"),
    ("-m", "deepdive.cli", "grade", "solutions/hour3_models.py", "--hour", "3"),
    ("-m", "deepdive.cli", "proof", "--hour", "3"),
    ("-m", "deepdive.cli", "show", "pieces", "Transformers are amazing"),
]


@pytest.mark.parametrize("command", NEEDING_ASSETS, ids=lambda command: " ".join(command[1:3]))
def test_an_empty_cache_is_one_sentence_that_says_what_to_do(command: list[str], run: Hub, tmp_path: Path) -> None:
    done = run(tmp_path, *command)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said
    assert f"{tmp_path / 'hub'} does not have bert-base-uncased, gpt2, " in said
    assert "Run `deepdive assets` once with a network" in said
    assert len(said.strip().splitlines()) == 1


def test_what_is_missing_is_named_and_nothing_else(home: Path, run: Hub, tmp_path: Path) -> None:
    shutil.copytree(home / "hub", tmp_path / "hub", symlinks=True, ignore=shutil.ignore_patterns("*.safetensors"))
    for merges in (tmp_path / "hub" / "models--gpt2").rglob("merges.txt"):
        merges.unlink()  # as after a download that was stopped
    done = run(tmp_path, "-m", "deepdive.cli", "grade", "solutions/hour2_tokenizers.py")
    missing = [a.hub for n, a in CATALOGUE.items() if a.hub_type == "model"]
    assert f"does not have {', '.join(missing)}. Run" in done.stdout + done.stderr


def test_preparing_them_without_a_network_is_one_sentence(run: Hub, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "deepdive.cli", "assets")
    said = (done.stdout + done.stderr).strip()
    assert done.returncode != 0
    assert said.startswith("deepdive: bert-base-uncased could not be had from the Hugging Face Hub")
    assert len(said.splitlines()) == 1
