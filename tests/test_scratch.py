"""What checks and answers write while they run is gone afterwards, the cache of `datasets` included."""

import os
from pathlib import Path

import datasets
import pytest

from deepdive.scratch import scratch


def test_datasets_that_is_imported_already_gets_a_cache_of_its_own_for_every_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    usual, seen = datasets.config.HF_DATASETS_CACHE, []
    for _ in range(2):
        with scratch() as folder:
            rows = datasets.load_dataset("csv", data_files=written(folder), split="train")
            seen.append(Path(rows.cache_files[0]["filename"]))
            assert seen[-1].is_relative_to(folder)
            with scratch() as inner:  # within another it is the outer one's
                assert os.environ["HF_DATASETS_CACHE"] == str(folder / "datasets")
                assert inner != folder
    assert seen[0] != seen[1]
    assert not any(path.exists() for path in seen)
    assert usual == datasets.config.HF_DATASETS_CACHE
    assert "HF_DATASETS_CACHE" not in os.environ


def written(folder: Path) -> str:
    path = folder / "rows.csv"
    path.write_text("text\ngood\n")
    return str(path)
