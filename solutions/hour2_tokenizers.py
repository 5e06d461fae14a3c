"""Hour 2 · Tokenization

**Goal:** know how a text becomes the tokens a model reads. You build the two tokenizers of the plan, BERT's WordPiece
and GPT-2's byte-level BPE, until they agree token for token with the real ones on a thousand film reviews.

- **0–15 min · overview.** The Hugging Face course, *Tokenizers*:
  https://huggingface.co/learn/nlp-course/chapter2/4?fw=pt
  Then write BERT's first two steps, which know no vocabulary yet: `normalize` and `split_words`.
- **15–35 min · reading.** *Complete Guide to Subword Tokenization*, examples of BPE and WordPiece in action:
  https://blog.octanove.org/guide-to-subword-tokenization/
  Code each idea when you have met it: `wordpiece` and with it `bert_tokenize`; `byte_alphabet`, `apply_bpe` and with
  them `gpt2_tokenize` and `gpt2_detokenize`.
- **35–60 min · hands on.** Open a Python environment and run:

  ```python
  from transformers import AutoTokenizer
  bert_tok = AutoTokenizer.from_pretrained("bert-base-uncased")
  gpt2_tok = AutoTokenizer.from_pretrained("gpt2")

  print(bert_tok.tokenize("Transformers are amazing"))
  print(gpt2_tok.tokenize("Transformers are amazing"))
  print(bert_tok.tokenize("unaffable"))
  print(gpt2_tok.tokenize("unaffable"))
  ```

  It prints

  ```
  ['transformers', 'are', 'amazing']
  ['Transform', 'ers', 'Ġare', 'Ġamazing']
  ['una', '##ffa', '##ble']
  ['un', 'aff', 'able']
  ```

  (With no network, `from deepdive.assets import checkpoint` and load `checkpoint("bert-base-uncased")` and
  `checkpoint("gpt2")`: the same vocabularies, kept on your disk.) Observe how each tokenizer handles the text
  differently: BERT lowers the case and marks what continues a word, GPT-2 keeps everything and marks the space before
  a word. What that costs and what it loses is measured by `compare_tokenizers`.
- **Stretch, whenever you like.** `train_bpe` finds the merges that `apply_bpe` applies; `encode_batch` makes of
  tokens what a model takes; `align_labels` carries a word's label over to its pieces.

**Conventions**

- A vocabulary maps tokens to ids; merge ranks map pairs of symbols to their rank, 0 for the merge to be done first.
- Texts hold no special tokens (`[SEP]`, `<|endoftext|>`) spelled out; the tokens come back without any, too, unless
  the docstring says so.
- Characters are judged by their Unicode category. Libraries carry Unicode tables of different ages, so characters
  that were added to Unicode since version 8 (2015), or given another category since, are outside the exercises.
- Inputs are never changed in place.
- Input that a docstring lists under *Raises* is refused with a message that shows the offending value.
"""

import math
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import regex

# The two patterns are data rather than lesson, so they are given. `regex` (it comes with Transformers) reads like the
# standard library's `re` and also knows Unicode's classes: \p{L} is any letter, \p{N} any number.

# BERT's list of Chinese, Japanese and Korean ideographs, the same as in its own code.
CJK = regex.compile(
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f\U0002b820-\U0002ceaf\U0002f800-\U0002fa1f]"
)

# GPT-2 cuts a text into words by this pattern, from its own code, before any merge. A word keeps the space before it;
# of several, all but the last stand by themselves.
GPT2_WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def normalize(text: str) -> str:
    """Bring a text into the only spelling that the uncased BERT knows.

    In this order:

    1. White space, which is tab, newline, carriage return and every character of category Z, becomes a plain space,
       each for itself: runs are kept.
    2. What is left of category C (control and format characters, private use) is dropped, and so are NUL and the
       replacement character U+FFFD.
    3. Every ideograph that `CJK` matches gets a space on either side.
    4. Accents go: of the canonical decomposition (NFD), characters of category Mn are dropped.
    5. Every character is put into lower case by itself, whatever its neighbours: Σ becomes σ even at a word's end.

    Args:
        text: any text, also an empty one. A lone surrogate is of category C, so it is dropped.

    Returns:
        What `tokenizers.normalizers.BertNormalizer(lowercase=True)` gives.

    Raises:
        TypeError: `text` is no str; the message shows its type.

    Source:
        https://github.com/google-research/bert#tokenization
        https://huggingface.co/docs/tokenizers/api/normalizers
        Unicode categories: https://www.unicode.org/reports/tr44/#General_Category_Values

    Example:
        >>> normalize("Café\\tNoir, 東京!")
        'cafe noir,  東  京 !'
    """
    ### BEGIN SOLUTION
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    kept = []
    for char in text:
        category = unicodedata.category(char)
        # Tabs and newlines are control characters as well, so white space has to be asked for first.
        if char in "\t\n\r" or category.startswith("Z"):
            kept.append(" ")
        elif not category.startswith("C") and char != "\ufffd":
            kept.append(char)
    spaced = CJK.sub(r" \g<0> ", "".join(kept))
    # NFD takes é apart into e and a combining accent; an accent alone is a "nonspacing mark", Mn.
    decomposed = unicodedata.normalize("NFD", spaced)
    return "".join(char.lower() for char in decomposed if unicodedata.category(char) != "Mn")
    ### END SOLUTION


def split_words(text: str) -> list[str]:
    """Cut a normalized text into words, every punctuation mark a word of its own.

    Punctuation is every character of a category P, and of the others in ASCII all that are neither letter, digit nor
    space (`string.punctuation`: `$`, `+`, `<` and `` ` `` among them, which Unicode calls symbols). Symbols beyond
    ASCII, such as € and emoji, are ordinary characters of a word.

    Args:
        text: what `normalize` gave.

    Returns:
        The words in their order, none of them empty; white space only separates.

    Source:
        https://huggingface.co/docs/tokenizers/api/pre-tokenizers (BertPreTokenizer)

    Example:
        >>> split_words("don't pay  5€ («never»)...")
        ['don', "'", 't', 'pay', '5€', '(', '«', 'never', '»', ')', '.', '.', '.']
    """
    ### BEGIN SOLUTION
    spaced = []
    for char in text:
        is_punctuation = char in string.punctuation or unicodedata.category(char).startswith("P")
        spaced.append(f" {char} " if is_punctuation else char)
    return "".join(spaced).split()
    ### END SOLUTION


def wordpiece(word: str, vocab: Mapping[str, int], unk: str = "[UNK]", max_chars: int = 100) -> list[str]:
    """Cut one word into the pieces of a vocabulary, from the left, each as long as possible.

    A piece that does not begin the word stands in the vocabulary with `##` before it. When no piece fits somewhere,
    the whole word is one unknown token: nothing of it is kept, and no earlier piece is made shorter to save it.

    Args:
        word: one word, as `split_words` gives it.
        vocab: token → id; only its tokens count here.
        unk: what stands for a word that cannot be cut.
        max_chars: a word of more characters than this is unknown without a look at the vocabulary.

    Returns:
        The pieces, later ones with their `##`; `[unk]` for an unknown word; `[]` for the empty word.

    Source:
        https://huggingface.co/learn/nlp-course/chapter6/6
        https://github.com/google-research/bert/blob/master/tokenization.py (WordpieceTokenizer)

    Example:
        >>> vocab = {"una": 0, "un": 1, "##ffa": 2, "##able": 3, "##ble": 4, "##f": 5}
        >>> wordpiece("unaffable", vocab)
        ['una', '##ffa', '##ble']
        >>> wordpiece("unaffected", vocab)
        ['[UNK]']
    """
    ### BEGIN SOLUTION
    if len(word) > max_chars:
        return [unk]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):  # the longest first
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if piece in vocab:
                pieces.append(piece)
                start = end
                break
        else:
            return [unk]
    return pieces
    ### END SOLUTION


def bert_tokenize(text: str, vocab: Mapping[str, int]) -> list[str]:
    """Tokenize a text as BERT does: normalize it, split it into words, cut the words into pieces.

    Args:
        text: any text, also an empty one.
        vocab: token → id, with `[UNK]` for unknown words.

    Returns:
        The tokens, without `[CLS]` and `[SEP]`: what `BertTokenizer.tokenize` gives.

    Raises:
        TypeError: `text` is no str; the message shows its type.

    Source:
        https://huggingface.co/docs/transformers/model_doc/bert#transformers.BertTokenizer

    Example:
        >>> vocab = {token: i for i, token in enumerate(["transformers", "are", "amazing", "una", "##ffa", "##ble"])}
        >>> bert_tokenize("Transformers are amazing", vocab)
        ['transformers', 'are', 'amazing']
        >>> bert_tokenize("unaffable?", vocab)
        ['una', '##ffa', '##ble', '[UNK]']
    """
    ### BEGIN SOLUTION
    return [piece for word in split_words(normalize(text)) for piece in wordpiece(word, vocab)]
    ### END SOLUTION


def byte_alphabet() -> dict[int, str]:
    """Give each of the 256 bytes a visible character of its own, as GPT-2 writes them in its vocabulary.

    The bytes `!` to `~`, `¡` to `¬` and `®` to `ÿ`, which are visible in Latin-1, stand for themselves. The others,
    in ascending order, get the characters from U+0100 on: 0 is Ā, the space is Ġ, the newline Ċ.

    Returns:
        byte → character: 256 entries, no character twice.

    Source:
        https://github.com/openai/gpt-2/blob/master/src/encoder.py (bytes_to_unicode)
        Radford et al., Language Models are Unsupervised Multitask Learners, section 2.2

    Example:
        >>> alphabet = byte_alphabet()
        >>> "".join(alphabet[byte] for byte in "naïve 🙂".encode())
        'naÃ¯veĠðŁĻĤ'
    """
    ### BEGIN SOLUTION
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    invisible = [byte for byte in range(256) if byte not in visible]
    alphabet = {byte: chr(byte) for byte in visible}
    alphabet |= {byte: chr(0x100 + n) for n, byte in enumerate(invisible)}
    return alphabet
    ### END SOLUTION


def apply_bpe(symbols: Sequence[str], ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """Merge neighbouring symbols, in the order in which the merges were learned, until none is left to do.

    Of all pairs of neighbours, the one of the lowest rank is merged everywhere, from left to right: the symbols of a
    pair that was merged are used up, so `a a a` becomes `aa a`. Then the neighbours are looked at afresh.

    Args:
        symbols: what to start from, one character each or merged already; may be empty.
        ranks: pair → rank, 0 for the first. Ranks differ, and a pair ranks after the merges that made its symbols, as
            training orders them; the mapping itself may be in any order.

    Returns:
        The symbols that are left, as a new list; joined they are what the given ones are, joined.

    Source:
        Sennrich, Haddow, Birch, Neural Machine Translation of Rare Words with Subword Units, section 3.2:
        https://arxiv.org/abs/1508.07909
        https://huggingface.co/learn/nlp-course/chapter6/5

    Example:
        >>> ranks = {("l", "o"): 0, ("lo", "w"): 1, ("e", "r"): 2, ("w", "e"): 3}
        >>> apply_bpe(list("lower"), ranks)
        ['low', 'er']
    """
    ### BEGIN SOLUTION
    symbols = list(symbols)
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
        if best not in ranks:
            break
        merged, i = [], 0
        while i < len(symbols):
            if tuple(symbols[i : i + 2]) == best:
                merged.append(best[0] + best[1])
                i += 2
            else:
                merged.append(symbols[i])
                i += 1
        symbols = merged
    return symbols
    ### END SOLUTION


def gpt2_tokenize(text: str, ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """Tokenize a text as GPT-2 does: cut it into words, write their UTF-8 bytes in the byte alphabet, merge.

    `GPT2_WORDS` cuts; each word is merged by itself. Words come again and again in a text, so a word that came before
    is not merged once more: a speed check looks for it, with the `ranks` that belong to the call.

    Args:
        text: any text, also an empty one. A single word of many thousand characters may take long.
        ranks: GPT-2's merges, pair → rank, in the byte alphabet.

    Returns:
        The tokens, in the byte alphabet: what `GPT2TokenizerFast.tokenize` gives.

    Raises:
        TypeError: `text` is no str; the message shows its type.
        ValueError: `text` holds a lone surrogate, which UTF-8 has no bytes for; the message shows it, as \\ud83d for
            example.

    Source:
        Radford et al., Language Models are Unsupervised Multitask Learners, section 2.2
        https://huggingface.co/docs/transformers/model_doc/gpt2#transformers.GPT2TokenizerFast

    Example:
        >>> merges = ["u n", "a f", "af f", "a b", "l e", "ab le", "Ġ un"]
        >>> ranks = {tuple(merge.split()): rank for rank, merge in enumerate(merges)}
        >>> gpt2_tokenize("unaffable unaffable", ranks)
        ['un', 'aff', 'able', 'Ġun', 'aff', 'able']
    """
    ### BEGIN SOLUTION
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    alphabet = byte_alphabet()
    seen: dict[str, list[str]] = {}
    tokens: list[str] = []
    for word in GPT2_WORDS.findall(text):
        if word not in seen:
            # A lone surrogate makes `encode` raise UnicodeEncodeError, which is a ValueError and shows it.
            seen[word] = apply_bpe([alphabet[byte] for byte in word.encode("utf-8")], ranks)
        tokens.extend(seen[word])
    return tokens
    ### END SOLUTION


def gpt2_detokenize(tokens: Sequence[str]) -> str:
    """Give the text back that GPT-2's tokens were made of.

    A character may be spread over several tokens. Bytes that are no UTF-8, as when the tokens end in the middle of a
    character, become the replacement character U+FFFD.

    Args:
        tokens: in the byte alphabet, as `gpt2_tokenize` gives them; may be empty.

    Returns:
        The text: for all that `gpt2_tokenize` gives, exactly what it was given.

    Raises:
        ValueError: a token holds a character that is not in the byte alphabet; the message shows the character.

    Source:
        https://github.com/openai/gpt-2/blob/master/src/encoder.py (decode)

    Example:
        >>> gpt2_detokenize(["na", "Ã¯", "ve", "Ġ", "ðŁ", "ĻĤ"])
        'naïve 🙂'
        >>> gpt2_detokenize(["ok", "ĠðŁ"])
        'ok \\ufffd'
    """
    ### BEGIN SOLUTION
    byte_of = {char: byte for byte, char in byte_alphabet().items()}
    written = "".join(tokens)
    for char in written:
        if char not in byte_of:
            raise ValueError(f"{char!r} is not in the byte alphabet")
    # All bytes first, then one decoding: a character's bytes may lie in different tokens.
    return bytes(byte_of[char] for char in written).decode("utf-8", errors="replace")
    ### END SOLUTION


def compare_tokenizers(texts: Sequence[str], tokenizers: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Measure what tokenizers make of the same texts: how many tokens, how many unknown, how much comes back.

    Args:
        texts: the texts; together they must hold at least one word.
        tokenizers: name → tokenizer, as Transformers makes them. Rely on these of their methods and attributes only:

            - `tokenize(text) -> list[str]`: tokens, no special ones.
            - `encode(text, add_special_tokens=True) -> list[int]`: ids, special ones included unless told otherwise.
            - `decode(ids, clean_up_tokenization_spaces=True) -> str`: a text; by default spaces before
              punctuation are cleaned away, which here they must not be.
            - `unk_token`, `unk_token_id`: what stands for the unknown; None where there is no such thing.

    Returns:
        name → a dict of floats:

        - `"tokens_per_word"` ("fertility"): all tokens, without special ones, over all words, as `text.split()`
          gives them.
        - `"unknown_share"`: all unknown tokens over all tokens; 0.0 where there is no token.
        - `"round_trip_share"`: the texts that equal their own decoded encoding, over all texts. No special tokens in
          it, and no clean-up of spaces.

    Raises:
        ValueError: there is no word in `texts`; the message shows how many texts there are.

    Source:
        Ács, Exploring BERT's Vocabulary: https://juditacs.github.io/2019/02/19/bert-tokenization-stats.html
        https://huggingface.co/docs/transformers/main_classes/tokenizer
    """
    ### BEGIN SOLUTION
    n_words = sum(len(text.split()) for text in texts)
    if n_words == 0:
        raise ValueError(f"at least one word is needed, got none in {len(texts)} texts")
    report = {}
    for name, tokenizer in tokenizers.items():
        n_tokens = n_unknown = n_round_trips = 0
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False)
            n_tokens += len(ids)
            n_unknown += ids.count(tokenizer.unk_token_id)
            n_round_trips += tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
        # Sums first, one division last: a mean of each text's own ratio would let a text of two words count as much
        # as one of two hundred.
        report[name] = {
            "tokens_per_word": n_tokens / n_words,
            "unknown_share": n_unknown / n_tokens if n_tokens else 0.0,
            "round_trip_share": n_round_trips / len(texts),
        }
    return report
    ### END SOLUTION


def train_bpe(word_counts: Mapping[str, int], n_merges: int) -> list[tuple[str, str]]:
    """Learn merges from words and their counts: the most frequent pair of neighbours, again and again.

    Every word starts as its characters. In each round a pair of neighbouring symbols counts at every position where
    it stands, overlapping ones too (`aaa` holds `a a` twice), times the word's count. The most frequent pair is
    merged in all words as `apply_bpe` merges it; of several, the lexicographically smallest (as tuples of strings
    compare).

    Args:
        word_counts: word → how often it occurs, 1 at least.
        n_merges: how many merges to learn, 0 at least.

    Returns:
        The pairs in the order in which they were merged; fewer than n_merges when no pair is left.

    Raises:
        ValueError: n_merges below 0; the message shows it.

    Source:
        Sennrich, Haddow, Birch, section 3.2, algorithm 1: https://arxiv.org/abs/1508.07909
        https://huggingface.co/learn/nlp-course/chapter6/5

    Example:
        >>> train_bpe({"low": 5, "lower": 2, "newest": 6, "widest": 3}, 4)
        [('e', 's'), ('es', 't'), ('l', 'o'), ('lo', 'w')]
    """
    ### BEGIN SOLUTION
    if n_merges < 0:
        raise ValueError(f"n_merges must be at least 0, got {n_merges}")
    words = {word: list(word) for word in word_counts}
    merges: list[tuple[str, str]] = []
    while len(merges) < n_merges:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in pairwise(symbols):
                pairs[pair] += word_counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = {word: apply_bpe(symbols, {best: 0}) for word, symbols in words.items()}
    return merges
    ### END SOLUTION


def encode_batch(
    token_lists: Sequence[Sequence[str]], vocab: Mapping[str, int], max_length: int
) -> dict[str, np.ndarray]:
    """Make of several texts' tokens the two arrays that a BERT model takes.

    Every row is `[CLS]`, the tokens, `[SEP]`. Tokens at the end are left out where the row would be longer than
    max_length; shorter rows are filled up on the right with `[PAD]` to the longest row there is, no further.

    Args:
        token_lists: each text's tokens, without special ones, as `bert_tokenize` gives them; a list may be empty.
        vocab: token → id, with `[CLS]`, `[SEP]`, `[PAD]` and `[UNK]`; a token that is not in it gets `[UNK]`'s id.
        max_length: most tokens in a row, special ones included.

    Returns:
        `{"input_ids", "attention_mask"}`, int64 `(B, longest)` both: the ids, and 1 for a token (special ones
        included), 0 for padding.

    Raises:
        ValueError: no list of tokens at all; max_length below 2, which leaves no room for `[CLS]` and `[SEP]` (the
            message shows it).

    Source:
        https://huggingface.co/docs/transformers/pad_truncation
        https://huggingface.co/docs/transformers/glossary#attention-mask

    Example:
        >>> vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "good": 4, "film": 5}
        >>> batch = encode_batch([["good"], ["good", "film"]], vocab, max_length=8)
        >>> batch["input_ids"]
        array([[2, 4, 3, 0],
               [2, 4, 5, 3]])
        >>> batch["attention_mask"]
        array([[1, 1, 1, 0],
               [1, 1, 1, 1]])
    """
    ### BEGIN SOLUTION
    if len(token_lists) == 0:
        raise ValueError("at least one list of tokens is needed, got 0")
    if max_length < 2:
        raise ValueError(f"max_length must leave room for [CLS] and [SEP], got {max_length}")
    rows = [["[CLS]", *tokens[: max_length - 2], "[SEP]"] for tokens in token_lists]
    shape = len(rows), max(len(row) for row in rows)
    input_ids = np.full(shape, vocab["[PAD]"], dtype=np.int64)
    attention_mask = np.zeros(shape, dtype=np.int64)
    for i, row in enumerate(rows):
        input_ids[i, : len(row)] = [vocab.get(token, vocab["[UNK]"]) for token in row]
        attention_mask[i, : len(row)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
    ### END SOLUTION


def align_labels(word_labels: Sequence[int], word_ids: Sequence[int | None]) -> list[int]:
    """Carry the labels of words over to their tokens, to train a model that labels tokens.

    The first piece of a word gets the word's label. Its later pieces and the special tokens get −100, which the loss
    ignores, so that every word counts once.

    Args:
        word_labels: one label for each word.
        word_ids: for each token the index of its word, None for a special token, as a tokenizer's
            `encoding.word_ids` gives them for one text: ascending. A word may have no token at all, if the text was
            truncated or nothing of the word was left by normalization.

    Returns:
        A label for each token.

    Raises:
        ValueError: a word id for which there is no label, below 0 included; the message shows it.

    Source:
        https://huggingface.co/docs/transformers/tasks/token_classification#preprocess

    Example:
        >>> align_labels([3, 0, 7], [None, 0, 0, 1, 2, 2, 2, None])
        [-100, 3, -100, 0, 7, -100, -100, -100]
    """
    ### BEGIN SOLUTION
    labels, previous = [], None
    for word_id in word_ids:
        if word_id is None or word_id == previous:
            labels.append(-100)
        elif 0 <= word_id < len(word_labels):
            labels.append(word_labels[word_id])
        else:
            raise ValueError(f"word {word_id} has no label: there are {len(word_labels)}")
        previous = word_id
    return labels
    ### END SOLUTION
