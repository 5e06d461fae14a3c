"""What hour 2 hands out that is no plain data: tokenizers, real ones and toys.

Each has the methods and attributes that `compare_tokenizers` may rely on.
"""

import re
from functools import cache
from typing import Any


class WordTokenizer:
    """Words and punctuation marks, in lower case; what the vocabulary lacks is `[UNK]`; `[CLS]` and `[SEP]` around.

    Soft hyphens are dropped.
    """

    unk_token, unk_token_id = "[UNK]", 0

    def __init__(self, words: list[str]) -> None:
        self._tokens = ["[UNK]", "[CLS]", "[SEP]", *words]

    def tokenize(self, text: str) -> list[str]:
        tokens = re.findall(r"\w+|[^\w\s]", text.lower().replace("\u00ad", ""))
        return [token if token in self._tokens else "[UNK]" for token in tokens]

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        ids = [self._tokens.index(token) for token in self.tokenize(text)]
        return [1, *ids, 2] if add_special_tokens else ids

    def decode(self, ids: list[int], clean_up_tokenization_spaces: bool = True) -> str:
        text = " ".join(self._tokens[i] for i in ids)
        return re.sub(r" ([.,!?])", r"\1", text) if clean_up_tokenization_spaces else text


class CharacterTokenizer:
    """Every character a token, so that nothing is unknown and nothing is lost; it has no special tokens."""

    unk_token = unk_token_id = None

    def tokenize(self, text: str) -> list[str]:
        return list(text)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(char) for char in text]

    def decode(self, ids: list[int], clean_up_tokenization_spaces: bool = True) -> str:
        text = "".join(map(chr, ids))
        return re.sub(r" ([.,!?])", r"\1", text) if clean_up_tokenization_spaces else text


def toy_tokenizers(words: list[str]) -> dict[str, Any]:
    """Two tokenizers that one can follow by hand: of these words, and of characters."""
    return {"words": WordTokenizer(words), "characters": CharacterTokenizer()}


def fast_tokenizers(checkpoints: dict[str, str]) -> dict[str, Any]:
    """Name → Transformers' own tokenizer of a checkpoint, which does not warn of long texts."""
    return {name: _fast_tokenizer(checkpoint) for name, checkpoint in checkpoints.items()}


@cache
def _fast_tokenizer(checkpoint: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(checkpoint, model_max_length=10**9)
