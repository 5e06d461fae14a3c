"""What the answers of hour 4 are handed, and how their results are looked into.

Makers write files from plain rows, into folders of their own, or build datasets and tokenizers. Observers turn a
dataset that came back into columns. All of them run where the answer runs.
"""

import csv
import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# ── makers: files ───────────────────────────────────────────────────────────────────────────────────────────────


def csv_file(name: str, header: list[str], rows: list[list[Any]]) -> str:
    """A csv file called `name`, in UTF-8; its path."""
    path = _folder() / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return str(path)


def file_of(name: str, text: str, encoding: str = "utf-8") -> str:
    """A file called `name` with this text; its path."""
    path = _folder() / name
    path.write_text(text, encoding=encoding, newline="")
    return str(path)


def parquet_file(name: str, columns: dict[str, list[Any]]) -> str:
    """A parquet file called `name`; its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = _folder() / name
    pq.write_table(pa.table(columns), path)
    return str(path)


def missing_file(name: str) -> str:
    """A path at which there is nothing."""
    return str(_folder() / name)


def damaged_csv(name: str, texts: list[str], rows: int) -> str:
    """A csv of so many rows, and then one that is not UTF-8. Its path."""
    header, numbered = ["text", "label"], [[f"{row} {texts[row % len(texts)]}", row % 2] for row in range(rows)]
    path = csv_file(name, header, numbered)
    with open(path, "ab") as file:
        file.write(b"caf\xe9,0\n")
    return path


def damaged_parquet(name: str, texts: list[str], rows: int) -> str:
    """A parquet file of so many rows in groups of 1,000, whose last group cannot be read. Its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = _folder() / name
    columns = {"text": [f"{row} {texts[row % len(texts)]}" for row in range(rows)], "label": [0, 1] * (rows // 2)}
    pq.write_table(pa.table(columns), path, row_group_size=1_000, use_dictionary=False)
    with pq.ParquetFile(path) as file:
        last = file.metadata.row_group(file.metadata.num_row_groups - 1).column(0)
    with path.open("r+b") as file:
        file.seek(last.data_page_offset)
        file.write(b"\xff" * last.total_compressed_size)
    return str(path)


def large_parquet(name: str, texts: list[str], groups: int) -> str:
    """A parquet file of so many groups of 1,000 rows, small on disk and large in memory. Its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = _folder() / name
    group = pa.table({"text": [texts[row % len(texts)] for row in range(1_000)], "label": [0, 1] * 500})
    with pq.ParquetWriter(path, group.schema) as writer:
        for _ in range(groups):
            writer.write_table(group)
    return str(path)


def _folder() -> Path:
    return Path(tempfile.mkdtemp())


# ── makers: datasets and tokenizers ─────────────────────────────────────────────────────────────────────────────


def dataset_of(columns: dict[str, list[Any]], classes: list[str] | None = None) -> Any:
    """A Dataset in memory; `label` a ClassLabel with these names, or the integers as they are."""
    from datasets import ClassLabel, Dataset, Features, Value

    def type_of(name: str, values: list[Any]) -> Any:
        if name == "label" and classes is not None:
            return ClassLabel(names=classes)
        return (
            Value("string") if name == "text" or any(isinstance(value, str) for value in values) else Value("int64")
        )

    return Dataset.from_dict(columns, features=Features({name: type_of(name, v) for name, v in columns.items()}))


def dataset_on_disk(columns: dict[str, list[Any]]) -> Any:
    """A Dataset that lies in a file, as a loaded one does, so that what `map` makes of it is kept beside it."""
    from datasets import Dataset

    folder = tempfile.mkdtemp()
    dataset_of(columns, ["neg", "pos"]).save_to_disk(folder)
    return Dataset.load_from_disk(folder)


def all_of_imdb(checkpoint: str) -> Any:
    """IMDb's 25,000 training reviews in their own order, from the kit's folder or the Hub's."""
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    files = [*Path(checkpoint).glob("all.parquet")] or sorted(Path(checkpoint).rglob("train*.parquet"))
    return Dataset.from_parquet([str(file) for file in files], features=features)


def tokenizer_of(checkpoint: str) -> Any:
    """The checkpoint's own fast tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(checkpoint)


def small_tokenizer(vocabulary: dict[str, int], special: bool = True, padding: bool = True) -> Any:
    """A fast WordPiece tokenizer with this vocabulary; with `[CLS]`, `[SEP]` and `[PAD]` or without."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = WhitespaceSplit()
    if special:
        tokens = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
        inner.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=tokens)
    limit, padding_token = 8, "[PAD]" if padding else None
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token=padding_token, model_max_length=limit
    )


# ── observers ───────────────────────────────────────────────────────────────────────────────────────────────────


def columns_of(dataset: Any) -> dict[str, list[Any]]:
    """A Dataset's columns."""
    from datasets import Dataset

    if not isinstance(dataset, Dataset):
        raise TypeError(f"a Dataset is asked for, not a {type(dataset).__name__}")
    dataset = dataset.with_format(None)
    return {name: dataset[name][:] for name in dataset.column_names}


def types_of(dataset: Any) -> dict[str, Any]:
    """The types of a Dataset's columns: the names of the classes of a ClassLabel, else in words."""
    from datasets import Dataset

    if not isinstance(dataset, Dataset):
        raise TypeError(f"a Dataset is asked for, not a {type(dataset).__name__}")
    return {name: _in_words(feature) for name, feature in dataset.features.items()}


def _in_words(feature: Any) -> Any:
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        return list(feature.names)
    dtype = getattr(feature, "dtype", str(feature))
    return "string" if dtype == "large_string" else dtype  # which of them, a reader of csv may choose


def splits_of(splits: Any) -> dict[str, dict[str, list[Any]]]:
    """The columns of a DatasetDict's splits."""
    return {name: columns_of(dataset) for name, dataset in _splits(splits)}


def types_of_splits(splits: Any) -> dict[str, dict[str, Any]]:
    """The types of the columns of a DatasetDict's splits."""
    return {name: types_of(dataset) for name, dataset in _splits(splits)}


def _splits(splits: Any) -> Any:
    if not isinstance(splits, dict):  # a DatasetDict is one
        raise TypeError(f"a DatasetDict is asked for, not a {type(splits).__name__}")
    return splits.items()


def summary_of(dataset: Any) -> dict[str, Any]:
    """A large Dataset in a few numbers: rows, rows of each label, and a digest of its texts in their order."""
    from collections import Counter
    from hashlib import sha256

    columns = columns_of(dataset)
    digest = sha256()
    for text in columns["text"]:
        digest.update(text.encode() + b"\0")
    counts = Counter(columns["label"])
    return {"rows": len(columns["text"]), "labels": [counts[0], counts[1]], "digest": digest.hexdigest()}


def tensors_of(batch: Any) -> dict[str, Any]:
    """A batch, which may be a BatchEncoding, as a plain dict."""
    if not isinstance(batch, Mapping):
        raise TypeError(f"a dict of tensors is asked for, not a {type(batch).__name__}")
    return {name: batch[name] for name in batch}


# ── observers of the answer itself ──────────────────────────────────────────────────────────────────────────────


def comes_from_the_cache(function: Callable[..., Any], dataset: Any) -> bool:
    """Whether the function, called twice, gives a Dataset that lies in the same file both times."""
    once, again = ([file["filename"] for file in function(dataset).cache_files] for _ in range(2))
    return bool(once) and once == again


def repeats_splits(function: Callable[..., Any], dataset: Any, sizes: dict[str, float]) -> bool:
    """Whether one seed gives the same splits twice, whatever random numbers others draw."""
    return _repeats(lambda: [list(part["text"][:]) for part in function(dataset, sizes, 1).values()])


def repeats_batches(function: Callable[..., Any], lengths: list[int], batch_size: int) -> bool:
    """Whether one seed gives the same batches twice, whatever random numbers others draw."""
    return _repeats(lambda: function(list(lengths), batch_size, 1))


def _repeats(draw: Callable[[], Any]) -> bool:
    import random

    import numpy as np

    drawn = []
    for others in (1, 2, 3):
        random.seed(others)
        np.random.seed(others)
        drawn.append(draw())
    return drawn[0] == drawn[1] == drawn[2]


def stays_below(function: Callable[..., Any], data_files: str, n: int, megabytes: float) -> bool:
    """Whether this process never held so many megabytes more than before while the function read n rows."""
    rows, peak = peak_of(function, data_files, n)
    return len(rows) == n and peak < megabytes


def peak_of(function: Callable[..., Any], data_files: str, n: int) -> tuple[Any, float]:
    """What the function gave, and how many megabytes more than before this process held at most meanwhile."""
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.001):
            peak = max(peak, _held())

    with _freed_at_once():
        before = peak = _held()
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            rows = function(data_files, n)
            peak = max(peak, _held())
        finally:
            over.set()
            watcher.join()
    return rows, (peak - before) / 1e6


@contextmanager
def _freed_at_once() -> Iterator[None]:
    """Let memory that is freed go back to the system at once, so that what a process holds is what it uses.

    Allocators keep some of it for later. With Arrow's own, the peak of the solution lay anywhere between 6 and 30 MB,
    the more the busier the machine was, and between 12 and 14 MB this way.
    """
    import pyarrow as pa

    _give_back()
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_MMAP_THRESHOLD, 128 * 1024)  # the default, but from now on it does not grow
    try:
        yield
    finally:
        pa.set_memory_pool(usual)


_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of <malloc.h>: larger blocks are mapped each for itself, and unmapped


def _held() -> int:
    """The bytes of memory that this process holds; where nobody tells, the most it ever held; where that fails, 0."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _give_back() -> None:
    """Return to the system what is free but kept, or else the next to ask for memory would seem to need none."""
    import gc

    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
