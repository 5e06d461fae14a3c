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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError
