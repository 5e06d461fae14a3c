"""What the solutions of hours 2 to 4 do with input that is empty, enormous, of the wrong type or damaged.

Each gives what its docstring says, or refuses it with an error of the documented type that shows the value.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from deepdive.assets import checkpoint
from solutions import hour2_tokenizers as hour2
from solutions import hour3_models as hour3
from solutions import hour4_datasets as hour4

MEGABYTE = 1_000_000
LONG_TEXT = "The film was great. " * (MEGABYTE // 20)
LONG_WORD = "a" * MEGABYTE
LONE_SURROGATE = "ok \ud83d"
NO_TEXTS = [None, 7, b"bytes", ["a", "list"]]


# ── hour 2 ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def vocabulary() -> dict[str, int]:
    """BERT's own."""
    lines = Path(checkpoint("bert-base-uncased"), "vocab.txt").read_text(encoding="utf-8").splitlines()
    return {token: number for number, token in enumerate(lines)}


@pytest.fixture(scope="module")
def ranks() -> dict[tuple[str, str], int]:
    """GPT-2's own merges."""
    lines = Path(checkpoint("gpt2"), "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    pairs = (line.split() for line in lines if line)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


def test_nothing_has_no_tokens(vocabulary: dict[str, int], ranks: dict[tuple[str, str], int]) -> None:
    assert hour2.normalize("") == ""
    assert hour2.split_words("") == []
    assert hour2.wordpiece("", vocabulary) == []
    assert hour2.bert_tokenize("", vocabulary) == []
    assert hour2.apply_bpe([], ranks) == []
    assert hour2.gpt2_tokenize("", ranks) == []
    assert hour2.gpt2_detokenize([]) == ""
    assert hour2.train_bpe({}, 3) == []
    assert hour2.align_labels([], []) == []


def test_a_megabyte_of_words_is_tokenized(vocabulary: dict[str, int], ranks: dict[tuple[str, str], int]) -> None:
    count = MEGABYTE // 20
    assert hour2.bert_tokenize(LONG_TEXT, vocabulary) == ["the", "film", "was", "great", "."] * count
    tokens = hour2.gpt2_tokenize(LONG_TEXT, ranks)
    assert tokens == ["The", "Ġfilm", "Ġwas", "Ġgreat", "."] + ["ĠThe", "Ġfilm", "Ġwas", "Ġgreat", "."] * (
        count - 1
    ) + ["Ġ"]
    assert hour2.gpt2_detokenize(tokens) == LONG_TEXT


def test_one_word_of_a_megabyte_is_tokenized(vocabulary: dict[str, int], ranks: dict[tuple[str, str], int]) -> None:
    assert hour2.bert_tokenize(LONG_WORD, vocabulary) == ["[UNK]"]
    assert hour2.bert_tokenize("!" * MEGABYTE, vocabulary) == ["!"] * MEGABYTE
    assert hour2.gpt2_detokenize(hour2.gpt2_tokenize(LONG_WORD, ranks)) == LONG_WORD
    assert len(hour2.gpt2_tokenize(" " * MEGABYTE, {})) == MEGABYTE


@pytest.mark.parametrize("text", NO_TEXTS)
def test_what_is_no_text_is_refused_with_its_type(text: Any) -> None:
    tokenizers: list[Callable[[Any], object]] = [
        hour2.normalize,
        lambda text: hour2.bert_tokenize(text, {}),
        lambda text: hour2.gpt2_tokenize(text, {}),
    ]
    for tokenize in tokenizers:
        with pytest.raises(TypeError, match=type(text).__name__):
            tokenize(text)


def test_half_a_surrogate_pair_is_dropped_by_bert_and_refused_by_gpt2(vocabulary: dict[str, int]) -> None:
    assert hour2.normalize(LONE_SURROGATE) == "ok "
    assert hour2.bert_tokenize(LONE_SURROGATE, vocabulary) == ["ok"]
    with pytest.raises(ValueError, match=r"\\ud83d"):
        hour2.gpt2_tokenize(LONE_SURROGATE, {})
    with pytest.raises(ValueError, match=r"\\ud83d"):
        hour2.gpt2_detokenize(["\ud83d"])
    with pytest.raises(ValueError, match="' '"):
        hour2.gpt2_detokenize(["two words"])


def test_a_batch_of_no_texts_is_refused_and_one_of_empty_texts_is_not(vocabulary: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="got 0"):
        hour2.encode_batch([], vocabulary, 8)
    assert hour2.encode_batch([[], []], vocabulary, 2)["input_ids"].tolist() == [[101, 102]] * 2
    with pytest.raises(ValueError, match="none in 2 texts"):
        hour2.compare_tokenizers(["", " \n"], {})


@pytest.mark.parametrize("max_length", [1, 0, -3])
def test_hour_2_refuses_a_length_below_the_special_tokens(max_length: int, vocabulary: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"got {max_length}$"):
        hour2.encode_batch([["good"]], vocabulary, max_length)


def test_numbers_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="got -1"):
        hour2.train_bpe({"word": 1}, -1)
    for word in (1, -1):
        with pytest.raises(ValueError, match=f"word {word} "):
            hour2.align_labels([7], [0, word])


# ── hour 3 ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def encoder() -> tuple[Any, Any]:
    """MiniLM and its tokenizer."""
    return hour3.load_encoder(checkpoint("minilm"))


@pytest.fixture(scope="module")
def classifier() -> tuple[Any, Any]:
    """The sentiment checkpoint and its tokenizer."""
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint("sentiment")).eval()
    return model, AutoTokenizer.from_pretrained(checkpoint("sentiment"))


def test_models_take_no_texts_and_empty_and_enormous_ones(
    encoder: tuple[Any, Any], classifier: tuple[Any, Any]
) -> None:
    for embed in (hour3.embed, hour3.embed_fast):
        assert embed([], *encoder).shape == (0, 384)
        vectors = embed(["", LONG_TEXT, LONG_WORD], *encoder)
        assert vectors.shape == (3, 384)
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(3), atol=1e-5)
    for said in (hour3.classify([], checkpoint("sentiment")), hour3.classify_by_hand([], *classifier)):
        assert said == []
    texts = ["", LONG_TEXT, LONG_WORD]
    by_hand, by_pipeline = hour3.classify_by_hand(texts, *classifier), hour3.classify(texts, checkpoint("sentiment"))
    assert [said["label"] for said in by_hand] == [said["label"] for said in by_pipeline]
    assert hour3.semantic_search("cats", [], *encoder) == []
    assert [index for index, _ in hour3.semantic_search("", ["", "cats"], *encoder)] == [1]


@pytest.mark.parametrize("text", [None, 7, LONE_SURROGATE])
def test_what_is_no_text_is_refused_by_the_tokenizer(
    text: Any, encoder: tuple[Any, Any], classifier: tuple[Any, Any]
) -> None:
    takers: list[Callable[[], object]] = [
        lambda: hour3.embed([text], *encoder),
        lambda: hour3.embed_fast([text], *encoder),
        lambda: hour3.classify([text], checkpoint("sentiment")),
        lambda: hour3.classify_by_hand([text], *classifier),
        lambda: hour3.semantic_search("cats", [text], *encoder),
    ]
    for take in takers:
        with pytest.raises((TypeError, ValueError), match=r"text|Text"):
            take()


def test_one_text_is_no_list_of_texts(encoder: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"'Cats purr\.'"):
        hour3.embed("Cats purr.", *encoder)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, -1])
def test_batches_and_findings_of_zero_are_refused(number: int, encoder: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=f"batch_size .* got {number}"):
        hour3.embed(["a"], *encoder, batch_size=number)
    with pytest.raises(ValueError, match=f"top_k .* got {number}"):
        hour3.semantic_search("a", ["b"], *encoder, top_k=number)


@pytest.mark.parametrize("max_grad_norm", [0.0, -1.0, float("nan")])
def test_a_step_needs_labels_and_a_norm(max_grad_norm: float, classifier: tuple[Any, Any]) -> None:
    model, batch = classifier[0], {"input_ids": torch.ones(1, 1, dtype=torch.int64)}
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(ValueError, match="labels"):
        hour3.training_step(model, batch, optimizer)
    with pytest.raises(ValueError, match=f"got {max_grad_norm}"):
        hour3.training_step(model, batch | {"labels": torch.zeros(1, dtype=torch.int64)}, optimizer, max_grad_norm)


def test_shapes_that_do_not_fit_are_refused_and_empty_ones_do() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        hour3.mean_pool(torch.zeros(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        hour3.mean_pool(torch.zeros(2, 3, 5), torch.ones(2, 4))
    assert hour3.mean_pool(torch.zeros(0, 3, 5), torch.ones(0, 3)).shape == (0, 5)
    assert hour3.mean_pool(torch.ones(2, 0, 5), torch.ones(2, 0)).tolist() == [[0.0] * 5] * 2


@pytest.mark.parametrize(("name", "error"), [("nobody/no-such", OSError), ("/no/such/folder", ValueError)])
def test_a_checkpoint_that_is_not_there_is_the_librarys_error(
    name: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(error):
        hour3.load_encoder(name)


# ── hour 4: files ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read here does not pile up in the home folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """Write a file; its path."""

    def write(name: str, content: str, encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode(encoding, "surrogatepass" if encoding == "utf-8" else "strict"))
        return str(path)

    return write


DAMAGED = {
    "no column label": ("text\nFine.\n", "utf-8"),
    "no column text": ("label\n1\n", "utf-8"),
    "another column for label": ("text,stars\nFine.,5\n", "utf-8"),
    "a semicolon for the comma": ("text;label\nFine.;1\n", "utf-8"),
    "one column too many": ("text,label,film\nFine.,1,Up\n", "utf-8"),
    "a row too short": ("text,label\nFine.,1\nSo so.\n", "utf-8"),
    "no label in a row": ("text,label\nFine.,1\nSo so.,\n", "utf-8"),
    "label 2": ("text,label\nFine.,1\nSo so.,2\n", "utf-8"),
    "label -1": ("text,label\nFine.,1\nSo so.,-1\n", "utf-8"),
    "label 0.5": ("text,label\nFine.,1\nSo so.,0.5\n", "utf-8"),
    "label mixed": ("text,label\nFine.,pos\nSo so.,mixed\n", "utf-8"),
    "label POS": ("text,label\nFine.,POS\n", "utf-8"),
    "quote open in the only row": ('text,label\n"Fine.,1\n', "utf-8"),
    "quote open in the middle": ("text,label\n" + "Fine.,1\n" * 50 + '"So so.,0\n' + "Fine.,1\n" * 50, "utf-8"),
    "quote open in a label": ('text,label\nFine.,1\nSo so.,"0\nGood.,1\n', "utf-8"),
    "Latin-1": ("text,label\nUn café.,1\n", "latin-1"),
    "Windows-1252": ("text,label\n“Fine.”,1\n", "cp1252"),
    "UTF-16": ("text,label\nFine.,1\n", "utf-16"),
    "half a surrogate pair": (f"text,label\n{LONE_SURROGATE},1\n", "utf-8"),
    "nothing at all": ("", "utf-8"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_csv_is_refused_with_its_path(kind: str, written: Callable[..., str]) -> None:
    content, encoding = DAMAGED[kind]
    path = written("reviews of mine.csv", content, encoding)
    with pytest.raises(ValueError, match=r"reviews of mine\.csv"):
        hour4.load_reviews({"train": path})


UNNOTICED = ("no column label", "no column text", "label -1")


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_csv_is_refused_by_a_stream_or_shows_what_is_missing(
    kind: str, written: Callable[..., str]
) -> None:
    path = written("reviews of mine.csv", *DAMAGED[kind])
    if kind in UNNOTICED:
        *_, last = hour4.stream_reviews(path, 10)
        assert last["text"] is None or last["label"] in (None, -1)
    else:
        with pytest.raises(ValueError, match=r"\w"):
            hour4.stream_reviews(path, 10)


def test_the_damaged_one_of_two_files_is_named(written: Callable[..., str]) -> None:
    files = {"train": written("whole.csv", "text,label\nFine.,1\n"), "test": written("cut.csv", "text\nFine.\n")}
    with pytest.raises(ValueError, match=r"cut\.csv"):
        hour4.load_reviews(files)


def test_odd_files_that_are_whole_are_read(written: Callable[..., str]) -> None:
    rows = [["Un café.", 1], ["", 0], ["NA", 1], ["null", 0], [LONG_TEXT, 1], [LONG_WORD, 0], ["a\0b", 1]]
    content = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    for encoding in ("utf-8", "utf-8-sig"):  # which has a byte order mark
        path = written("odd.csv", content, encoding)
        reviews = hour4.load_reviews({"train": path})["train"]
        assert [list(row.values()) for row in reviews] == rows
        assert [list(row.values()) for row in hour4.stream_reviews(path, 10)] == rows


def test_files_of_no_kind_or_not_there_are_refused(written: Callable[..., str], tmp_path: Path) -> None:
    for files in ({"train": written("reviews.xlsx", "text,label\nFine.,1\n")}, {}):
        with pytest.raises(ValueError, match=r"should all be \.csv or all \.parquet"):
            hour4.load_reviews(files)
    missing = str(tmp_path / "nowhere.csv")
    for read in (lambda: hour4.load_reviews({"train": missing}), lambda: hour4.stream_reviews(missing, 1)):
        with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
            read()
    with pytest.raises(ValueError, match=r"cannot read .*torn\.parquet"):
        hour4.load_reviews({"train": written("torn.parquet", "no parquet")})
    with pytest.raises(ValueError, match="got -1"):
        hour4.stream_reviews(written("whole.csv", "text,label\nFine.,1\n"), -1)


# ── hour 4: datasets ────────────────────────────────────────────────────────────────────────────────────────────


def reviews_of(texts: list[str]) -> Dataset:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    return Dataset.from_dict({"text": texts, "label": [0] * len(texts)}, features=features)


def test_a_dataset_of_no_rows_stays_one_or_is_refused(encoder: tuple[Any, Any]) -> None:
    nothing, tokenizer = reviews_of([]), encoder[1]
    assert hour4.remove_duplicates(nothing).num_rows == 0
    assert hour4.strip_markup(nothing).num_rows == 0
    assert hour4.find_problems(nothing) == []
    assert hour4.bucket_batches([], 2, seed=0) == []
    refusals: list[Callable[[], object]] = [
        lambda: hour4.label_distribution(nothing),
        lambda: hour4.split(nothing, {"train": 0.5, "test": 0.5}, seed=0),
        lambda: hour4.tokenize(nothing, tokenizer, 8),
        lambda: hour4.length_report(nothing, tokenizer, 8),
    ]
    for refuse in refusals:
        with pytest.raises(ValueError, match="no rows"):
            refuse()
    with pytest.raises(ValueError, match="no features"):
        hour4.collate([], tokenizer)


def test_empty_and_enormous_texts_are_texts(encoder: tuple[Any, Any]) -> None:
    texts, tokenizer = ["", LONG_TEXT, LONG_WORD, ""], encoder[1]
    reviews = reviews_of(texts)
    assert hour4.remove_duplicates(reviews)["text"][:] == texts[:3]
    assert hour4.strip_markup(reviews)["text"][:] == ["", LONG_TEXT.strip(), LONG_WORD, ""]
    assert hour4.find_problems(reviews) == [("duplicate", 3), ("empty_text", 0), ("empty_text", 3)]
    assert list(map(len, hour4.tokenize(reviews, tokenizer, 8)["input_ids"])) == [2, 8, 3, 2]
    report = hour4.length_report(reviews, tokenizer, 8)
    assert (report["p50"], report["truncated_share"]) == (2.5, 0.25)


@pytest.mark.parametrize("max_length", [1, 0, -3])
def test_hour_4_refuses_a_length_below_the_special_tokens(max_length: int, encoder: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=f"max_length = {max_length} "):
        hour4.tokenize(reviews_of(["good"]), encoder[1], max_length)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batches_of_zero_are_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"got {batch_size}"):
        hour4.bucket_batches([3, 1, 2], batch_size, seed=0)


@pytest.mark.parametrize("sizes", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": 1.0, "test": 0.0}])
def test_shares_that_are_none_are_refused(sizes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"the shares should be above 0 and sum to 1, got \{"):
        hour4.split(reviews_of(["a", "b"]), sizes, seed=0)


def test_labels_without_names_have_no_distribution() -> None:
    with pytest.raises(ValueError, match="int64"):
        hour4.label_distribution(Dataset.from_dict({"label": [0, 1]}))
