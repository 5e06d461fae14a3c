"""Other right answers to hour 4: by pandas, pyarrow and the standard library, or by other parts of `datasets`."""

import csv
import html
import os
import re
from collections import Counter
from functools import partial
from itertools import islice

import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets, load_dataset

from tests.alternatives import alternative

FEATURES = {"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])}

# ── load_reviews ────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="load_reviews")
def loaded_split_by_split(data_files):
    readers = {".csv": partial(Dataset.from_csv, keep_default_na=False), ".parquet": Dataset.from_parquet}
    if not data_files:
        raise ValueError("no files")
    splits = DatasetDict()
    for name, path in data_files.items():
        os.stat(path)  # raises FileNotFoundError, which names the path
        ending = os.path.splitext(path)[1]
        if ending not in readers:
            raise ValueError(f"neither csv nor parquet: {path}")
        try:
            splits[name] = readers[ending](path, features=Features(FEATURES))
        except Exception as error:
            raise ValueError(f"{path}: {error}") from error
        if any(row["text"] is None or row["label"] not in (0, 1) for row in splits[name]):
            raise ValueError(f"{path}: a value is missing")
    return splits


@alternative(of="load_reviews")
def read_by_hand(data_files):
    ids = {"0": 0, "1": 1, "neg": 0, "pos": 1}
    splits = {}
    for name, path in data_files.items():
        os.stat(path)
        if path.endswith(".parquet"):
            rows = Dataset.from_parquet(path).to_list()
        elif path.endswith(".csv"):
            with open(path, newline="", encoding="utf-8") as file:
                try:
                    rows = list(csv.DictReader(file, strict=True))
                except (csv.Error, UnicodeDecodeError) as error:
                    raise ValueError(f"{path}: {error}") from error
        else:
            raise ValueError(path)
        try:
            columns = {"text": [row["text"] for row in rows], "label": [ids[str(row["label"])] for row in rows]}
        except KeyError as error:
            raise ValueError(f"{path} has no {error}") from error
        splits[name] = Dataset.from_dict(columns, features=Features(FEATURES))
    if not splits:
        raise ValueError("no files")
    return DatasetDict(splits)


# ── label_distribution ──────────────────────────────────────────────────────────────────────────────────────────


def _names(dataset):
    if dataset.num_rows == 0 or not hasattr(dataset.features["label"], "int2str"):
        raise ValueError(f"{dataset.num_rows} rows, label is {dataset.features['label']}")
    return dataset.features["label"].names


@alternative(of="label_distribution")
def shares_by_bincount(dataset):
    names = _names(dataset)
    counts = np.bincount(dataset.with_format("numpy")["label"][:], minlength=len(names))
    return dict(zip(names, (counts / counts.sum()).tolist(), strict=True))


@alternative(of="label_distribution")
def shares_by_pandas(dataset):
    names = _names(dataset)
    shares = dataset.to_pandas()["label"].value_counts(normalize=True)
    return {name: float(shares.get(index, 0)) for index, name in enumerate(names)}


# ── remove_duplicates ───────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="remove_duplicates")
def filtered_by_a_set(dataset):
    seen = set()

    def is_new(text):
        new = text not in seen
        seen.add(text)
        return new

    return dataset.filter(is_new, input_columns="text")


@alternative(of="remove_duplicates")
def dropped_by_pandas(dataset):
    return dataset.select(dataset.to_pandas().drop_duplicates("text").index)


@alternative(of="remove_duplicates")
def selected_by_numpy(dataset):
    _, first = np.unique(np.array(dataset["text"][:], dtype=object), return_index=True)
    return dataset.select(np.sort(first))


# ── strip_markup ────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="strip_markup")
def cleaned_in_batches(dataset):
    def clean(texts):
        spaced = (re.sub(r"(?i)<br\s?/?>", "\n", text) for text in texts)
        return {"text": [re.sub(r"\s+", " ", html.unescape(text)).strip() for text in spaced]}

    return dataset.map(clean, batched=True, input_columns="text")


@alternative(of="strip_markup")
def split_at_the_breaks(dataset):
    breaks = re.compile("<br>|<br/>|<br />", re.IGNORECASE)
    return dataset.map(
        lambda row: {**row, "text": " ".join(html.unescape(" ".join(breaks.split(row["text"]))).split())}
    )


# ── split ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _checked(dataset, sizes):
    shares = list(sizes.values())
    if not dataset.num_rows or not np.isclose(sum(shares), 1) or any(share <= 0 for share in shares):
        raise ValueError(f"{dataset.num_rows} rows, {sizes}")


@alternative(of="split")
def split_by_train_test_split(dataset, sizes, seed):
    _checked(dataset, sizes)
    texts = dataset["text"][:]
    unique = rest = filtered_by_a_set(dataset)
    home, names = {}, list(sizes)
    for name in names[:-1]:
        rows = round(sizes[name] * len(unique))
        two = rest.train_test_split(train_size=rows, stratify_by_column="label", seed=seed)
        home |= dict.fromkeys(two["train"]["text"][:], name)
        rest = two["test"]
    parts = {name: [row for row, text in enumerate(texts) if home.get(text, names[-1]) == name] for name in names}
    return DatasetDict({name: dataset.select(part).shuffle(seed=seed) for name, part in parts.items()})


@alternative(of="split")
def split_by_quota(dataset, sizes, seed):
    """Every text goes where most of its label is missing."""
    _checked(dataset, sizes)
    generator = np.random.RandomState(seed)
    rows_of = {}
    for row in generator.permutation(len(dataset)).tolist():
        rows_of.setdefault(dataset[row]["text"], []).append(row)
    labels = dataset["label"][:]
    missing = {
        label: {name: share * count for name, share in sizes.items()} for label, count in Counter(labels).items()
    }
    parts = {name: [] for name in sizes}
    for rows in rows_of.values():
        open_seats = missing[labels[rows[0]]]
        name = max(open_seats, key=lambda name: open_seats[name] / sizes[name])
        open_seats[name] -= len(rows)
        parts[name] += rows
    return DatasetDict({name: dataset.select(generator.permutation(part)) for name, part in parts.items()})


# ── tokenize ────────────────────────────────────────────────────────────────────────────────────────────────────


def _room(dataset, tokenizer, max_length):
    if not len(dataset):
        raise ValueError("no rows")
    special = len(tokenizer("")["input_ids"])
    if max_length < special or max_length <= 0:
        raise ValueError(f"no room in {max_length}")


@alternative(of="tokenize")
def tokenized_row_by_row(dataset, tokenizer, max_length, padding=False):
    _room(dataset, tokenizer, max_length)

    def encode(row):
        encoded = tokenizer(row["text"], truncation=True, max_length=max_length, padding=padding)
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}

    return dataset.map(encode, remove_columns=[name for name in dataset.column_names if name != "label"])


@alternative(of="tokenize")
def tokenized_at_once(dataset, tokenizer, max_length, padding=False):
    _room(dataset, tokenizer, max_length)
    encoded = tokenizer(
        list(dataset["text"]), truncation=True, max_length=max_length, padding=padding, return_token_type_ids=False
    )
    return concatenate_datasets([Dataset.from_dict(dict(encoded)), dataset.select_columns("label")], axis=1)


# ── length_report ───────────────────────────────────────────────────────────────────────────────────────────────


def _percentiles(lengths, max_length):
    """Linear interpolation by hand."""
    if not lengths:
        raise ValueError("no rows")
    ordered, report = sorted(lengths), {}
    for percent in (50, 90, 99):
        place = (len(ordered) - 1) * percent / 100
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        report[f"p{percent}"] = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    return report | {"truncated_share": sum(length > max_length for length in lengths) / len(lengths)}


@alternative(of="length_report")
def report_by_map(dataset, tokenizer, max_length):
    counted = dataset.map(
        lambda batch: {"length": [len(ids) for ids in tokenizer(batch["text"], verbose=False)["input_ids"]]},
        batched=True,
    )
    return _percentiles(list(counted["length"]) if dataset.num_rows else [], max_length)


@alternative(of="length_report")
def report_by_the_backend(dataset, tokenizer, max_length):
    tokenizer(" ", truncation=False, padding=False)  # the backend remembers how it was last told to truncate
    encodings = tokenizer.backend_tokenizer.encode_batch(dataset["text"][:])
    return _percentiles([len(encoding.ids) for encoding in encodings], max_length)


# ── collate ─────────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="collate")
def collated_by_transformers(features, tokenizer):
    from transformers import DataCollatorWithPadding

    if not features:
        raise ValueError("no features")
    return DataCollatorWithPadding(tokenizer)([dict(feature) for feature in features])


@alternative(of="collate")
def collated_into_full_tensors(features, tokenizer):
    if len(features) == 0 or tokenizer.pad_token is None:
        raise ValueError(f"{len(features)} features, padding token {tokenizer.pad_token}")
    shape = len(features), max(len(feature["input_ids"]) for feature in features)
    ids = torch.full(shape, tokenizer.pad_token_id)
    mask = torch.zeros(shape, dtype=torch.long)
    for row, feature in enumerate(features):
        length = len(feature["input_ids"])
        ids[row, :length] = torch.tensor(feature["input_ids"])
        mask[row, :length] = torch.tensor(feature["attention_mask"])
    return {"labels": torch.tensor([f["label"] for f in features]), "input_ids": ids, "attention_mask": mask}


# ── bucket_batches ──────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="bucket_batches")
def sorted_as_a_whole(lengths, batch_size, seed):
    import random

    if batch_size <= 0:
        raise ValueError(f"no batches of {batch_size}")
    generator = random.Random(seed)
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], generator.random()))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    short = [batches.pop()] if batches and len(batches[-1]) < batch_size else []
    generator.shuffle(batches)
    return batches + short


@alternative(of="bucket_batches")
def pooled_by_torch(lengths, batch_size, seed):
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size}")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    pool, full, short = 25 * batch_size, [], []
    for start in range(0, len(order), pool):
        by_length = sorted(order[start : start + pool], key=lambda index: -lengths[index])
        for first in range(0, len(by_length), batch_size):
            batch = by_length[first : first + batch_size]
            (full if len(batch) == batch_size else short).append(batch)
    return [full[i] for i in torch.randperm(len(full), generator=generator).tolist()] + short


# ── stream_reviews ──────────────────────────────────────────────────────────────────────────────────────────────


def _files(data_files, n):
    files = [data_files] if isinstance(data_files, str) else [*data_files.values()]
    if n < 0:
        raise ValueError(f"{n} rows")
    for path in files:
        os.stat(path)  # raises FileNotFoundError, which names the path
    return files


@alternative(of="stream_reviews")
def streamed_file_by_file(data_files, n):
    rows = []
    for path in _files(data_files, n):
        kind = path.rpartition(".")[2]
        options = {"na_filter": False} if kind == "csv" else {}
        stream = load_dataset(
            kind, data_files=path, split="train", streaming=True, features=Features(FEATURES), **options
        )
        rows += stream.take(n - len(rows)) if n > len(rows) else []
    return rows


@alternative(of="stream_reviews")
def streamed_by_hand(data_files, n):
    import pyarrow.parquet as pq

    ids = {"0": 0, "1": 1, "neg": 0, "pos": 1}

    def rows_of(path):
        if path.endswith(".csv"):
            with open(path, newline="", encoding="utf-8") as file:
                yield from csv.DictReader(file)
        else:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=100):
                    yield from batch.to_pylist()

    rows = (row for path in _files(data_files, n) for row in rows_of(path))
    return [{"text": row["text"], "label": ids[str(row["label"])]} for row in islice(rows, n)]


# ── find_problems ───────────────────────────────────────────────────────────────────────────────────────────────


def _patterns():
    """Mojibake as a regular expression: a first byte, then as many further bytes as it announces."""
    further = "".join(map(chr, range(0x80, 0xC0)))
    for byte in range(0x80, 0xA0):
        try:
            further += bytes([byte]).decode("cp1252")
        except UnicodeDecodeError:
            continue
    further = f"[{re.escape(further)}]"
    return re.compile(f"\ufffd|[Â-ß]{further}|[à-ï]{further}{{2}}|[ð-ô]{further}{{3}}")


@alternative(of="find_problems")
def found_by_patterns(dataset):
    mojibake = _patterns()
    leak = re.compile(r"(?i)\blabel *[:=] *(?:neg|pos|[01])\b")
    seen, problems = set(), set()
    for index, row in enumerate(dataset):
        text = row["text"]
        if not text or text.isspace():
            problems.add(("empty_text", index))
        if row["label"] != 0 and row["label"] != 1:
            problems.add(("bad_label", index))
        if text in seen:
            problems.add(("duplicate", index))
        seen.add(text)
        if leak.search(text):
            problems.add(("label_leak", index))
        if mojibake.search(text):
            problems.add(("mojibake", index))
    return sorted(problems)


@alternative(of="find_problems")
def found_by_pandas(dataset):
    frame = dataset.to_pandas()
    text = frame["text"]
    kinds = {
        "bad_label": ~frame["label"].isin([0, 1]),
        "duplicate": text.duplicated(),
        "empty_text": text.str.strip() == "",
        "label_leak": text.map(lambda t: re.search(r"\blabel\s*[=:]\s*(0|1|neg|pos)\b", t.lower()) is not None),
        "mojibake": text.map(lambda t: _patterns().search(t) is not None),
    }
    return [(kind, int(row)) for kind, rows in kinds.items() for row in np.flatnonzero(rows)]
