"""What a run of hour 4 shows of the libraries' progress bars, and what it leaves behind: by the real commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepdive import assets
from deepdive.jail.zygote import choose_tier
from tests.conftest import ROOT

BAR = "examples/s"  # stands in every bar of Datasets
WRONG = ("return dataset.map(clean)", "return dataset.map(clean).select(range(1))")


def run(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the kit for somebody whose home is this folder."""
    set_aside = ("HF_", "PYTEST", "DEEPDIVE_", "COLUMNS", "XDG_", "TQDM")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(set_aside)}
    chosen = {"HOME": str(home), "DEEPDIVE_CACHE": str(assets.cache_directory()), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**kept, **chosen},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Answers whose `strip_markup` keeps the first row only."""
    folder = tmp_path / "wrong"
    folder.mkdir()
    source = (ROOT / "solutions" / "hour4_datasets.py").read_text(encoding="utf-8")
    assert WRONG[0] in source
    (folder / "hour4_datasets.py").write_text(source.replace(*WRONG), encoding="utf-8")
    return folder


def test_a_learner_who_asks_sees_the_bars_and_finds_nothing_in_the_home_folder(home: Path) -> None:
    exercises = ("--exercise", "strip_markup", "--exercise", "load_reviews")
    done = run(home, "pytest", "--against=solutions", "--fresh", "-s", "-p", "no:cacheprovider", *exercises)
    assert done.returncode == 0, done.stdout + done.stderr
    assert BAR in done.stdout + done.stderr
    assert list(home.iterdir()) == []


def test_the_bars_of_known_mistakes_that_are_tried_are_not_seen(home: Path, wrong: Path) -> None:
    done = run(home, "pytest", f"--against={wrong}", "-p", "no:cacheprovider", "--exercise", "strip_markup")
    assert "✗ strip_markup" in done.stdout
    assert BAR not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(choose_tier().tier is None, reason="this machine allows no jail")
def test_a_graded_run_is_silent(home: Path, wrong: Path, tmp_path: Path) -> None:
    done = run(home, "deepdive.cli", "grade", str(wrong), "--hour", "4", "--json", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "✗ strip_markup" in done.stdout
    record = (tmp_path / "wrong.json").read_text(encoding="utf-8")
    assert "failed" in {v["state"] for v in json.loads(record)["verdicts"] if v["exercise"] == "strip_markup"}
    assert BAR not in done.stdout + done.stderr + record
    assert list(home.iterdir()) == []


FINGERPRINTS = """
import sys
from datasets import disable_progress_bars
from deepdive.assets import checkpoint, use_offline
use_offline()
from transformers import AutoTokenizer
from solutions import hour4_datasets as hour4
disable_progress_bars()
reviews = hour4.load_reviews({"train": sys.argv[1]})["train"]
clean = hour4.strip_markup(reviews)
tokenized = hour4.tokenize(clean, AutoTokenizer.from_pretrained(checkpoint("bert-base-uncased")), 8)
print(reviews._fingerprint, clean._fingerprint, tokenized._fingerprint)
"""


def test_map_gives_the_same_fingerprints_in_every_process(home: Path, tmp_path: Path) -> None:
    """So that what it has made once comes from the cache, where one is kept: in a learner's own script, say."""
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\nGood.<br />Good!,1\nBad.,0\n", encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(FINGERPRINTS, encoding="utf-8")
    told = []
    for cache in ("one", "another"):
        environment = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path / cache), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, str(script), str(path)], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.split())
    assert told[0] == told[1]
    assert len(set(told[0])) == 3
