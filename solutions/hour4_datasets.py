"""Hour 4 · Dataset preparation

**Goal:** use the Hugging Face `datasets` library to load and preprocess data, and look at the data before a model
does. You take IMDb from a file to batches of token ids, and meet on the way what is really in it: 96 reviews that
stand there twice, 101,000 tags `<br />`, labels in order, texts of 10 to 2,470 words.

- **0–15 min · overview.** The Hugging Face Datasets tutorial: https://huggingface.co/docs/datasets
- **15–30 min · loading a dataset.** Practice by loading IMDb:

      from datasets import load_dataset
      imdb = load_dataset("imdb")
      print(imdb)

  On the Hub it is called `stanfordnlp/imdb` today. The kit's copy needs no network:
  `load_dataset(deepdive.assets.checkpoint("imdb"))`. Then read files of your own: `load_reviews`, and count what they
  hold: `label_distribution`.
- **30–45 min · preprocessing and tokenization.** Clean and cut: `remove_duplicates`, `strip_markup`, `split`. Then
  tokenize the dataset:

      from transformers import AutoTokenizer
      tokenizer = AutoTokenizer.from_pretrained("distilbert-base-uncased")

      def tokenize_batch(batch):
          return tokenizer(batch["text"], padding="max_length", truncation=True)

      tokenized_imdb = imdb.map(tokenize_batch, batched=True)

  This pads every review to 512 tokens, though half of them have fewer than 240. `tokenize` leaves that to later.
- **45–60 min · data checks.** Check sample tokenizations and label distributions; `length_report` says how much a
  `max_length` cuts away.
- **Stretch, whenever you like.** `collate` and `bucket_batches` pad no more than they must, `stream_reviews` reads
  a file that is too large to load, and `find_problems` goes looking for what is wrong with a dataset.

**Conventions**

- A dataset of reviews has the columns `text`, a string, and `label`, a `ClassLabel` whose names are `neg` (0) and
  `pos` (1).
- Datasets are never changed in place: every function returns a new one, and what is not spoken of stays as it was,
  the other columns and the type of `label` included.
- Input that a docstring lists under *Raises* is refused with a message that shows the offending value.
"""

import html
import itertools
import os
import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset
from datasets.exceptions import DatasetGenerationError
from transformers import PreTrainedTokenizerBase


def load_reviews(data_files: dict[str, str]) -> DatasetDict:
    """Load reviews from csv or parquet files, one file a split.

    Args:
        data_files: by the name of the split, the path of its file: all of them end in `.csv`, UTF-8 with a header,
            or all in `.parquet`. Each has the columns `text` and `label`; labels are ids, 0 and 1, or names, `neg`
            and `pos`. A text may be anything: nothing, `NA` and `null` are texts, too.

    Returns:
        The splits under their names, rows in the order of the file: `text` a string, `label` a
        `ClassLabel(names=["neg", "pos"])`.

    Raises:
        FileNotFoundError: there is no such file; the message shows its path.
        ValueError: another ending, or no file at all; a csv without `text` or `label`, with a label that is neither
            a class nor its id, with a quote that never closes or in another encoding. The message shows the path.

    Source:
        https://huggingface.co/docs/datasets/loading#csv
        https://huggingface.co/docs/datasets/loading#specify-features
    """
    ### BEGIN SOLUTION
    for path in data_files.values():
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no file {path}")
    endings = {os.path.splitext(path)[1] for path in data_files.values()}
    if endings not in ({".csv"}, {".parquet"}):
        raise ValueError(f"the files should all be .csv or all .parquet, got {data_files}")

    # Without features, a csv's labels come as the integers or strings that stand in it, without their meaning.
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    kind = endings.pop().removeprefix(".")
    # A csv is read by pandas, which takes texts such as "NA" and "null" for missing values unless it is told not to.
    options = {"keep_default_na": False} if kind == "csv" else {}
    try:
        splits = load_dataset(kind, data_files=data_files, features=features, **options)
    except DatasetGenerationError as error:  # its own message does not say what was wrong; its cause does
        raise ValueError(f"cannot read {data_files}: {error.__cause__}") from error

    for name, reviews in splits.items():
        # A column that the file does not have is filled with None, and -1 is how the library writes "no label".
        if None in reviews["text"][:] or not {0, 1}.issuperset(reviews["label"][:]):
            raise ValueError(f"{data_files[name]} has rows without a text or without a label")
    return splits
    ### END SOLUTION


def label_distribution(dataset: Dataset) -> dict[str, float]:
    """Tell which share of the rows has which label.

    Args:
        dataset: has a column `label`, a `ClassLabel` of any number of classes.

    Returns:
        By the name of the class, its share of the rows; classes that do not occur have 0.0. The shares sum to 1.

    Raises:
        ValueError: no rows; a `label` that is not a `ClassLabel` (the message shows its type).

    Source:
        https://huggingface.co/docs/datasets/about_dataset_features#classlabel

    Example:
        >>> features = Features({"label": ClassLabel(names=["neg", "pos", "mixed"])})
        >>> label_distribution(Dataset.from_dict({"label": [1, 0, 1, 1]}, features=features))
        {'neg': 0.25, 'pos': 0.75, 'mixed': 0.0}
    """
    ### BEGIN SOLUTION
    feature = dataset.features["label"]
    if not isinstance(feature, ClassLabel):
        raise ValueError(f"label should be a ClassLabel, got {feature}")
    if len(dataset) == 0:
        raise ValueError("no rows: nothing has a share of nothing")
    counts = Counter(dataset["label"][:])  # [:] reads the column at once, not row by row
    return {name: counts[i] / len(dataset) for i, name in enumerate(feature.names)}
    ### END SOLUTION


def remove_duplicates(dataset: Dataset) -> Dataset:
    """Drop every row whose text has come before.

    Of rows with exactly the same text the first stays, whatever their labels: of IMDb's 25,000 reviews, 96 go.

    Args:
        dataset: has a column `text`.

    Returns:
        The rows that stay, in their order. Of no rows: no rows.

    Source:
        https://huggingface.co/docs/datasets/process#select-and-filter

    Example:
        >>> reviews = Dataset.from_dict({"text": ["Good.", "Bad.", "Good.", "good."], "label": [1, 0, 1, 1]})
        >>> remove_duplicates(reviews)["text"][:]
        ['Good.', 'Bad.', 'good.']
    """
    ### BEGIN SOLUTION
    first: dict[str, int] = {}  # text → the row where it first stands, in the order of the rows
    for row, text in enumerate(dataset["text"][:]):
        first.setdefault(text, row)
    return dataset.select(first.values())
    ### END SOLUTION


def strip_markup(dataset: Dataset) -> Dataset:
    """Turn what was copied from web pages into plain text.

    In this order: every `<br>`, `<br/>` and `<br />`, in capitals or not, becomes a space; HTML entities become the
    characters they stand for, once; every run of white space, line ends and no-break spaces included, becomes one
    space, and none stays at either end. All else stays: other tags, too, and a `<` that begins none.

    Args:
        dataset: has a column `text`.

    Returns:
        The same rows with clean texts. It is made by `map`, so that a second time it comes from the cache.

    Source:
        https://huggingface.co/docs/datasets/process#map
        https://huggingface.co/docs/datasets/about_cache

    Example:
        >>> reviews = Dataset.from_dict({"text": ["Good.<br /><br />I <3 it,  Q&amp;A <i>included</i>. "]})
        >>> strip_markup(reviews)["text"][:]
        ['Good. I <3 it, Q&A <i>included</i>.']
    """
    ### BEGIN SOLUTION

    def clean(row: dict[str, str]) -> dict[str, str]:
        # Tags before entities: `&lt;br&gt;` is somebody writing about a tag. White space last: `&nbsp;` is some.
        text = re.sub(r"<br ?/?>", " ", row["text"], flags=re.IGNORECASE)
        return {"text": " ".join(html.unescape(text).split())}

    return dataset.map(clean)
    ### END SOLUTION


def split(dataset: Dataset, sizes: dict[str, float], seed: int) -> DatasetDict:
    """Cut a dataset into splits that share no text and have its shares of labels.

    A text that stands in a training split and in a test split is a question whose answer the model has seen. So all
    copies of a text go to the same split; none is dropped.

    Args:
        dataset: has the columns `text` and `label`, a `ClassLabel`.
        sizes: by the name of the split, the share of the rows it gets, above 0; they sum to 1 but for rounding.
        seed: of the random choice. The same seed gives the same splits, another one others.

    Returns:
        The splits, in the order of `sizes`: every row is in one of them, in random order. Where splits have some
        hundred rows and copies are few, each has its share of the rows and each label its share of the split's rows
        as in the whole, to within one percentage point.

    Raises:
        ValueError: no rows; shares that do not sum to 1, or one that is not above 0 (the message shows the shares).

    Source:
        https://huggingface.co/docs/datasets/process#split
        Barz and Denzler, Do We Train on Test Data? Purging CIFAR of Near-Duplicates: https://arxiv.org/abs/1902.00423
    """
    ### BEGIN SOLUTION
    if len(dataset) == 0:
        raise ValueError("no rows: there is nothing to split")
    if abs(sum(sizes.values()) - 1) > 1e-9 or min(sizes.values()) <= 0:
        raise ValueError(f"the shares should be above 0 and sum to 1, got {sizes}")

    labels = dataset["label"][:]
    copies: dict[str, list[int]] = {}  # text → its rows
    for row, text in enumerate(dataset["text"][:]):
        copies.setdefault(text, []).append(row)

    # `train_test_split(stratify_by_column="label")` would stratify, too, but it knows nothing of copies.
    rng = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {name: [] for name in sizes}
    for label in sorted(set(labels)):
        texts = [rows for rows in copies.values() if labels[rows[0]] == label]
        rng.shuffle(texts)
        ends = np.round(np.cumsum(list(sizes.values())) * len(texts)).astype(int)
        for name, start, end in zip(sizes, [0, *ends], ends, strict=False):
            parts[name] += [row for rows in texts[start:end] for row in rows]
    return DatasetDict({name: dataset.select(rng.permutation(part)) for name, part in parts.items()})
    ### END SOLUTION


def tokenize(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, padding: bool | str = False
) -> Dataset:
    """Turn texts into token ids.

    Args:
        dataset: has the columns `text` and `label`; may have others.
        tokenizer: any of Transformers' tokenizers.
        max_length: the most tokens a text keeps, special ones included.
        padding: False pads nothing; "max_length" pads every text to `max_length`, as the tokenizer pads.

    Returns:
        The same rows with the columns `input_ids`, `attention_mask` and `label`, and no others.

    Raises:
        ValueError: no rows; a `max_length` below 1, or below the number of special tokens that the tokenizer adds to
            a text (the message shows it).

    Source:
        https://huggingface.co/docs/datasets/nlp_process#map
        https://huggingface.co/docs/transformers/pad_truncation
    """
    ### BEGIN SOLUTION
    if len(dataset) == 0:
        raise ValueError("no rows: there is nothing to tokenize")
    # Asked for fewer tokens than that, the tokenizer would not truncate at all, and not say so.
    if max_length < max(1, tokenizer.num_special_tokens_to_add()):
        raise ValueError(f"max_length = {max_length} leaves no room for the special tokens")

    def encode(batch: dict[str, list[str]]) -> Mapping[str, list[list[int]]]:
        return tokenizer(batch["text"], truncation=True, max_length=max_length, padding=padding)

    others = [name for name in dataset.column_names if name != "label"]
    encoded = dataset.map(encode, batched=True, remove_columns=others)
    return encoded.select_columns(["input_ids", "attention_mask", "label"])  # BERT's has token_type_ids too
    ### END SOLUTION


def length_report(dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict[str, float]:
    """Tell how long the texts are in tokens, and how many of them a limit would cut.

    Args:
        dataset: has a column `text`.
        tokenizer: any of Transformers' tokenizers; a fast one is given whole batches, or it is no faster.
        max_length: the limit, in tokens.

    Returns:
        `p50`, `p90` and `p99`: the percentiles of the number of tokens, special ones included and nothing truncated,
        interpolated linearly; `truncated_share`: the share of texts with more than `max_length` tokens.

    Raises:
        ValueError: no rows.

    Source:
        https://numpy.org/doc/stable/reference/generated/numpy.percentile.html
    """
    ### BEGIN SOLUTION
    if len(dataset) == 0:
        raise ValueError("no rows: no text has a length")
    encoded = tokenizer(dataset["text"][:], truncation=False, verbose=False)  # no warning that texts are too long
    lengths = np.array([len(ids) for ids in encoded["input_ids"]])
    p50, p90, p99 = np.percentile(lengths, [50, 90, 99]).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "truncated_share": float(np.mean(lengths > max_length))}
    ### END SOLUTION


def collate(
    features: list[dict[str, list[int] | int]], tokenizer: PreTrainedTokenizerBase
) -> Mapping[str, torch.Tensor]:
    """Make one batch of tokenized texts, padded to the longest of them and no further.

    Args:
        features: B rows of what `tokenize` returns, each with `input_ids` and `attention_mask`, equally long lists,
            and `label`.
        tokenizer: says which id is padding.

    Returns:
        int64 tensors: `input_ids`, `(B, longest)`, padded on the right; `attention_mask`, `(B, longest)`, 0 where
        there is padding; `labels`, `(B,)`, under the name that Transformers' models expect.

    Raises:
        ValueError: no features; a tokenizer without a padding token.

    Source:
        https://huggingface.co/docs/transformers/main_classes/data_collator#transformers.DataCollatorWithPadding
        https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_sequence.html
    """
    ### BEGIN SOLUTION
    if not features:
        raise ValueError("no features: a batch holds at least one")
    if tokenizer.pad_token_id is None:
        raise ValueError("this tokenizer has no padding token")

    def padded(name: str, padding: int) -> torch.Tensor:
        rows = [torch.tensor(feature[name], dtype=torch.int64) for feature in features]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=padding)

    return {
        "input_ids": padded("input_ids", tokenizer.pad_token_id),
        "attention_mask": padded("attention_mask", 0),
        "labels": torch.tensor([feature["label"] for feature in features]),
    }
    ### END SOLUTION


def bucket_batches(lengths: list[int], batch_size: int, seed: int) -> list[list[int]]:
    """Put texts of about the same length into a batch, so that little of it is padding.

    A batch is as wide as its longest text. Batches drawn at random from IMDb are two thirds padding.

    Args:
        lengths: the length of each text.
        batch_size: texts in a batch, at least 1.
        seed: of the random order. The same seed gives the same batches, another one others.

    Returns:
        The batches, as lists of indices into `lengths`. Every index is in one of them; all have `batch_size`, only
        the last may be short. They come in random order, short and long texts by turns. Of 1,000 of IMDb's reviews,
        in batches of 16, at most 15% of the positions are padding. No lengths: no batches.

    Raises:
        ValueError: `batch_size` below 1; the message shows it.

    Source:
        `LengthGroupedSampler` in Transformers:
        https://github.com/huggingface/transformers/blob/main/src/transformers/trainer_pt_utils.py
    """
    ### BEGIN SOLUTION
    if batch_size < 1:
        raise ValueError(f"batch_size should be at least 1, got {batch_size}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths)).tolist()
    # Sorted as a whole, every epoch would have nearly the same batches. Sorted in pools of 50 batches, the padding is
    # nearly as little, and who meets whom is left to chance.
    pools = [order[start : start + 50 * batch_size] for start in range(0, len(order), 50 * batch_size)]
    by_length = [index for pool in pools for index in sorted(pool, key=lengths.__getitem__)]
    batches = [by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)]
    full = len(lengths) // batch_size
    return [batches[i] for i in rng.permutation(full)] + batches[full:]
    ### END SOLUTION


def stream_reviews(data_files: str | dict[str, str], n: int) -> list[dict[str, str | int]]:
    """Read the first n reviews of a file that may be larger than memory.

    Args:
        data_files: the path of a csv or parquet file such as `load_reviews` takes; or several by the names of their
            splits, as it takes them, which are read one after the other.
        n: how many rows; fewer come back when there are fewer.

    Returns:
        The rows, `{"text": str, "label": int}`, labels as ids. No more is read of a file, and held in memory, than it
        takes, give or take 10,000 rows of a csv or a few row groups of a parquet file: if the rest is damaged, nobody
        notices. A text or a label that the file does not have is None, and a label of -1 stays.

    Raises:
        FileNotFoundError: there is no such file; the message shows its path.
        ValueError: n below 0 (the message shows it); what else is wrong with the rows that are read, in the words of
            the library.

    Source:
        https://huggingface.co/docs/datasets/stream
    """
    ### BEGIN SOLUTION
    if n < 0:
        raise ValueError(f"n should be at least 0, got {n}")
    paths = [data_files] if isinstance(data_files, str) else list(data_files.values())
    for path in paths:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no file {path}")
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    kind = os.path.splitext(paths[0])[1].removeprefix(".")
    options = {"keep_default_na": False} if kind == "csv" else {}  # as in load_reviews
    stream = load_dataset(kind, data_files=paths, features=features, split="train", streaming=True, **options)
    return list(itertools.islice(stream, n))
    ### END SOLUTION


def find_problems(dataset: Dataset) -> list[tuple[str, int]]:
    """Find the rows of a dataset that would spoil a training or an evaluation.

    The kinds of problems; a row may have several:

    - `empty_text`: the text is nothing but white space.
    - `bad_label`: the label is neither 0 nor 1.
    - `duplicate`: an earlier row has exactly the same text.
    - `label_leak`: the text says its label: the word `label`, then `:` or `=`, then `neg`, `pos`, `0` or `1` as a
      whole word. Capitals and spaces between these do not matter.
    - `mojibake`: the text was read in the wrong encoding. It holds U+FFFD, which stands for bytes that nobody could
      read; or characters that are UTF-8 read as Latin-1 or Windows-1252, as in `cafÃ©` and `donâ€™t`. Letters with
      accents, as in `café`, are none.

    Args:
        dataset: has the columns `text`, strings, and `label`, integers.

    Returns:
        Pairs of the kind and the index of the row, sorted.

    Source:
        https://docs.python.org/3/library/codecs.html#standard-encodings
        Northcutt, Athalye, Mueller, Pervasive Label Errors in Test Sets: https://arxiv.org/abs/2103.14749

    Example:
        >>> texts = ["Good.", " ", "Good.", "Label: POS. Good!", "A quiet cafÃ©."]
        >>> find_problems(Dataset.from_dict({"text": texts, "label": [1, 0, 1, 1, 7]}))
        [('bad_label', 4), ('duplicate', 2), ('empty_text', 1), ('label_leak', 3), ('mojibake', 4)]
    """
    ### BEGIN SOLUTION

    def is_mojibake(text: str) -> bool:
        if "\ufffd" in text:
            return True
        # Beyond ASCII, few sequences of bytes are valid UTF-8. Where a run of such characters is, somebody meant it.
        for run in re.findall(r"[^\x00-\x7f]+", text):
            for encoding in ("latin-1", "cp1252"):
                try:
                    run.encode(encoding).decode("utf-8")
                except UnicodeError:
                    continue
                return True
        return False

    leak = re.compile(r"\blabel\s*[:=]\s*(neg|pos|0|1)\b", re.IGNORECASE)
    first: dict[str, int] = {}
    problems = []
    for index, (text, label) in enumerate(zip(dataset["text"][:], dataset["label"][:], strict=True)):
        found = {
            "empty_text": not text.strip(),
            "bad_label": label not in (0, 1),
            "duplicate": first.setdefault(text, index) != index,
            "label_leak": leak.search(text) is not None,
            "mojibake": is_mojibake(text),
        }
        problems += [(kind, index) for kind, is_so in found.items() if is_so]
    return sorted(problems)
    ### END SOLUTION
