"""Assets from the Hugging Face Hub, in the Hub's own cache, where every other program finds them, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from .errors import AssetError
from .recipes import CATALOGUE, Asset


@lru_cache
def fetch(asset: Asset) -> Path:
    """The folder of an asset's files in the cache, downloaded unless they are there. The Hub is not asked for newer.

    Raises AssetError when they are not to be had.
    """
    if (folder := kept(asset)) is not None:
        return folder
    with told_to_people(asset):
        from huggingface_hub import snapshot_download

        wanted = list(asset.hub_files)
        return Path(snapshot_download(asset.hub, repo_type=asset.hub_type, allow_patterns=wanted)).absolute()


def kept(asset: Asset) -> Path | None:
    """The folder of an asset's files if they are in the cache, all that are wanted; None if they are not."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(asset.hub, repo_type=asset.hub_type, local_files_only=True)).absolute()
    except LocalEntryNotFoundError:
        return None
    whole = all(any(file.exists() for file in folder.rglob(pattern)) for pattern in asset.hub_files)
    return folder if whole else None


def check_offline() -> None:
    """Raise AssetError when HF_HUB_OFFLINE forbids to ask the Hub and its cache does not have everything."""
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        return
    missing = [asset.hub for asset in CATALOGUE.values() if kept(asset) is None]
    if missing:
        raise AssetError(
            f"With DEEPDIVE_ASSETS=hub and HF_HUB_OFFLINE everything must be in the Hub's cache, and "
            f"{constants.HF_HUB_CACHE} does not have {', '.join(missing)}. Run `deepdive assets` once with a network "
            "and without HF_HUB_OFFLINE, or unset DEEPDIVE_ASSETS to work with the embedded assets."
        )


def cache_directory() -> Path:
    """The Hub's cache: `HF_HUB_CACHE`, or else `hub` in `HF_HOME`, or else in the user's cache directory."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).absolute()


def repositories() -> tuple[Path, ...]:
    """The folders of the cache that hold the assets, all of them downloaded first. Raises AssetError."""
    # Of a cache with models--x/snapshots/a1b2…, models--x: the files of a snapshot may be links to ../../blobs.
    return tuple(fetch(asset).parents[1] for asset in CATALOGUE.values())


@contextmanager
def told_to_people(asset: Asset) -> Iterator[None]:
    """Whatever the Hub's libraries raise, with many types and long texts, as one sentence about the network."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise AssetError(
            f"{asset.hub} could not be had from the Hugging Face Hub ({type(error).__name__}: {reason}). "
            "Check the network, and that HF_HUB_OFFLINE is not set; or unset DEEPDIVE_ASSETS to work without it."
        ) from error
