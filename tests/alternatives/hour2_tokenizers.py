"""Other right answers to hour 2: other algorithms, other libraries, other ways to remember."""

import heapq
import re
import string
import unicodedata
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise

import numpy as np

from solutions.hour2_tokenizers import CJK, GPT2_WORDS
from tests.alternatives import alternative


def _text(text):
    if not isinstance(text, str):
        raise TypeError(f"a {type(text).__name__} is no text")
    return text


@alternative(of="normalize")
def normalize_by_translation(text):
    """A table for str.translate, as long as the text has different characters."""
    table = {}
    for char in set(_text(text)):
        if char.isspace() and (char in "\t\n\r" or not unicodedata.category(char).startswith("C")):
            table[ord(char)] = " "
        elif not char.isprintable() or char == "\ufffd":
            table[ord(char)] = None
        elif CJK.fullmatch(char):
            table[ord(char)] = f" {char} "
    decomposed = unicodedata.normalize("NFD", text.translate(table))
    lowered = {ord(char): "" if unicodedata.category(char) == "Mn" else char.lower() for char in set(decomposed)}
    return decomposed.translate(lowered)


@alternative(of="normalize")
def normalize_by_regex(text):
    import regex

    text = regex.sub(r"[\t\n\r\p{Z}]", " ", _text(text))
    text = regex.sub(r"[\p{C}\ufffd]", "", text)
    text = unicodedata.normalize("NFD", CJK.sub(r" \g<0> ", text))
    return "".join(map(str.lower, regex.sub(r"\p{Mn}", "", text)))


@alternative(of="normalize")
def normalize_character_by_character(text):
    out = []
    for char in _text(text):
        category = unicodedata.category(char)
        if char in ("\t", "\n", "\r") or category in ("Zs", "Zl", "Zp"):
            out.append(" ")
        elif category not in ("Cc", "Cf", "Co", "Cn", "Cs") and ord(char) != 0xFFFD:
            out.append(f" {char} " if CJK.match(char) else char)
    parts = (unicodedata.normalize("NFD", part) for part in out)  # marks that follow stay in some order, and go
    return "".join(char.lower() for part in parts for char in part if unicodedata.category(char) != "Mn")


@alternative(of="split_words")
def split_by_regex(text):
    import regex

    return regex.findall(r"[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+", text)


@alternative(of="split_words")
def split_word_by_word(text):
    words, word = [], ""
    for char in text:
        mark = char in string.punctuation or unicodedata.category(char)[0] == "P"
        if (mark or char.isspace()) and word:
            words.append(word)
            word = ""
        if mark:
            words.append(char)
        elif not char.isspace():
            word += char
    return [*words, word] if word else words


@alternative(of="wordpiece")
def pieces_by_shortening(word, vocab, unk="[UNK]", max_chars=100):
    """As in BERT's own code: cut the end off until what is left is known."""
    if len(word) > max_chars:
        return [unk]
    start, pieces = 0, []
    while start < len(word):
        end = len(word)
        while end > start and ("##" * (start > 0) + word[start:end]) not in vocab:
            end -= 1
        if end == start:
            return [unk]
        pieces.append("##" * (start > 0) + word[start:end])
        start = end
    return pieces


@alternative(of="wordpiece")
def pieces_recursively(word, vocab, unk="[UNK]", max_chars=100):
    def cut(rest, mark):
        if not rest:
            return []
        piece = next((rest[:end] for end in range(len(rest), 0, -1) if mark + rest[:end] in vocab), None)
        following = cut(rest[len(piece) :], "##") if piece else None
        return None if following is None else [mark + piece, *following]

    pieces = cut(word, "") if len(word) <= max_chars else None
    return [unk] if pieces is None else pieces


@alternative(of="wordpiece")
def pieces_by_the_library(word, vocab, unk="[UNK]", max_chars=100):
    from tokenizers.models import WordPiece

    if len(word) > max_chars:
        return [unk]
    model = WordPiece(dict(vocab) | {unk: len(vocab)}, unk_token=unk, max_input_chars_per_word=max_chars)
    return [token.value for token in model.tokenize(word)]


@alternative(of="bert_tokenize")
def bert_by_remembering_words(text, vocab):
    @cache
    def pieces(word):
        return pieces_by_shortening(word, vocab)

    return [piece for word in split_by_regex(normalize_by_regex(text)) for piece in pieces(word)]


@alternative(of="bert_tokenize")
def bert_line_by_line(text, vocab):
    tokens = []
    for line in _text(text).split("\n"):
        for word in split_word_by_word(normalize_by_translation(line)):
            tokens += pieces_recursively(word, vocab)
    return tokens


@alternative(of="byte_alphabet")
def alphabet_as_gpt2_writes_it():
    """As in GPT-2's own code."""
    visible = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    codes, n = visible[:], 0
    for byte in range(256):
        if byte not in visible:
            visible.append(byte)
            codes.append(256 + n)
            n += 1
    return dict(zip(visible, map(chr, codes), strict=True))


@alternative(of="byte_alphabet")
def alphabet_by_what_is_printable():
    fresh = iter(range(0x100, 0x200))
    return {b: chr(b) if chr(b).isprintable() and b != 32 else chr(next(fresh)) for b in range(256)}


@alternative(of="apply_bpe")
def merges_by_a_heap(symbols, ranks):
    """A linked list of symbols and a heap of (rank, place), as the tokenizers library does it."""
    symbols = list(symbols)
    following, before = list(range(1, len(symbols) + 1)), list(range(-1, len(symbols) - 1))
    alive = [True] * len(symbols)
    heap = []

    def offer(left):
        right = following[left] if left >= 0 else len(symbols)
        if left >= 0 and right < len(symbols) and (rank := ranks.get((symbols[left], symbols[right]))) is not None:
            heapq.heappush(heap, (rank, left, symbols[left], symbols[right]))

    for place in range(len(symbols)):
        offer(place)
    while heap:
        _, left, a, b = heapq.heappop(heap)
        right = following[left]
        if not alive[left] or symbols[left] != a or right >= len(symbols) or symbols[right] != b:
            continue
        symbols[left], alive[right] = a + b, False
        following[left] = following[right]
        if following[left] < len(symbols):
            before[following[left]] = left
        offer(before[left])
        offer(left)
    return [symbol for symbol, here in zip(symbols, alive, strict=True) if here]


@alternative(of="apply_bpe")
def merges_in_ascending_order(symbols, ranks):
    """Rank by rank: none makes a pair of a lower rank, as training orders them."""
    symbols = list(symbols)
    for a, b in sorted(ranks, key=ranks.__getitem__):
        if a + b not in "".join(symbols):
            continue
        place = 0
        while place + 1 < len(symbols):
            if symbols[place] == a and symbols[place + 1] == b:
                symbols[place : place + 2] = [a + b]
            place += 1
    return symbols


@alternative(of="apply_bpe")
def merges_as_gpt2_does(symbols, ranks):
    """As in GPT-2's own code, with a set of pairs and `index`."""
    word = tuple(symbols)
    while len(word) > 1:
        pairs = set(pairwise(word))
        first, second = min(pairs, key=lambda pair: ranks.get(pair, float("inf")))
        if (first, second) not in ranks:
            break
        merged, i = [], 0
        while i < len(word):
            try:
                j = word.index(first, i)
            except ValueError:
                merged += word[i:]
                break
            merged += word[i:j]
            i = j
            if i < len(word) - 1 and word[i + 1] == second:
                merged.append(first + second)
                i += 2
            else:
                merged.append(word[i])
                i += 1
        word = tuple(merged)
    return list(word)


@alternative(of="gpt2_tokenize")
def gpt2_with_cache(text, ranks):
    alphabet = alphabet_as_gpt2_writes_it()

    @cache
    def tokens(word):
        return merges_as_gpt2_does([alphabet[byte] for byte in word.encode()], ranks)

    return [token for word in GPT2_WORDS.findall(_text(text)) for token in tokens(word)]


@alternative(of="gpt2_tokenize")
def gpt2_by_different_words(text, ranks):
    """All different words first, each merged once, then the text."""
    alphabet = alphabet_by_what_is_printable()
    table = {chr(byte): char for byte, char in alphabet.items()}
    words = [match.group() for match in GPT2_WORDS.finditer(_text(text))]
    written = {word: word.encode("utf-8").decode("latin-1").translate(str.maketrans(table)) for word in set(words)}
    tokens = {word: merges_by_a_heap(symbols, ranks) for word, symbols in written.items()}
    return [token for word in words for token in tokens[word]]


@alternative(of="gpt2_detokenize")
def text_by_bytearray(tokens):
    byte_of = {char: byte for byte, char in alphabet_as_gpt2_writes_it().items()}
    collected = bytearray()
    for token in tokens:
        for char in token:
            if char not in byte_of:
                raise ValueError(f"no byte is written {char}")
            collected.append(byte_of[char])
    return collected.decode(errors="replace")


@alternative(of="gpt2_detokenize")
def text_by_translation(tokens):
    table = {ord(char): byte for byte, char in alphabet_by_what_is_printable().items()}
    written = "".join(tokens)
    if other := set(map(ord, written)) - set(table):
        raise ValueError(f"these are no bytes: {''.join(map(chr, other))}")
    return written.translate(table).encode("latin-1").decode("utf-8", "replace")


@alternative(of="compare_tokenizers")
def compare_by_tokenize(texts, tokenizers):
    words = [word for text in texts for word in text.split()]
    if not words:
        raise ValueError(f"no word in {len(texts)} texts")
    report = {}
    for name, tokenizer in tokenizers.items():
        tokens = [token for text in texts for token in tokenizer.tokenize(text)]
        back = [
            tokenizer.decode(tokenizer.encode(text, add_special_tokens=False), clean_up_tokenization_spaces=False)
            for text in texts
        ]
        report[name] = {
            "tokens_per_word": len(tokens) / len(words),
            "unknown_share": sum(token == tokenizer.unk_token for token in tokens) / max(len(tokens), 1),
            "round_trip_share": float(np.mean([a == b for a, b in zip(texts, back, strict=True)])),
        }
    return report


@alternative(of="compare_tokenizers")
def compare_with_numpy(texts, tokenizers):
    n_words = np.array([len(text.split()) for text in texts], dtype=int)
    if n_words.sum() == 0:
        raise ValueError(f"{len(texts)} texts without a word")

    def measure(tokenizer):
        rows = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        lengths = np.array([len(row) for row in rows])
        unknown = np.array([sum(i == tokenizer.unk_token_id for i in row) for row in rows])
        exact = [
            tokenizer.decode(row, clean_up_tokenization_spaces=False) == t for row, t in zip(rows, texts, strict=True)
        ]
        share = unknown.sum() / lengths.sum() if lengths.any() else 0.0
        return {
            "tokens_per_word": float(lengths.sum() / n_words.sum()),
            "unknown_share": float(share),
            "round_trip_share": sum(exact) / len(exact),
        }

    return {name: measure(tokenizer) for name, tokenizer in tokenizers.items()}


@alternative(of="train_bpe")
def train_as_the_paper_does(word_counts, n_merges):
    """Sennrich's algorithm 1: the words as texts with spaces, and a pattern that respects whole symbols."""
    if n_merges < 0:
        raise ValueError(f"{n_merges} merges")
    corpus, merges = {" ".join(word): count for word, count in word_counts.items()}, []
    for _ in range(n_merges):
        pairs = defaultdict(int)
        for spelled, count in corpus.items():
            symbols = spelled.split()
            for i in range(len(symbols) - 1):
                pairs[symbols[i], symbols[i + 1]] += count
        if not pairs:
            break
        best = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[0][0]
        pattern = re.compile(r"(?<!\S)" + re.escape(" ".join(best)) + r"(?!\S)")
        corpus = {pattern.sub(lambda match, best=best: "".join(best), s): count for s, count in corpus.items()}
        merges.append(best)
    return merges


@alternative(of="train_bpe")
def train_on_tuples(word_counts, n_merges):
    if n_merges < 0:
        raise ValueError(f"n_merges={n_merges}")
    merges = []
    for _ in range(n_merges):
        ranks = {pair: rank for rank, pair in enumerate(merges)}
        pairs = Counter()
        for word, count in word_counts.items():
            symbols = merges_as_gpt2_does(word, ranks)
            for pair in pairwise(symbols):
                pairs[pair] += count
        if not pairs:
            break
        most = max(pairs.values())
        merges.append(min(pair for pair, count in pairs.items() if count == most))
    return merges


@alternative(of="encode_batch")
def batch_by_lists(token_lists, vocab, max_length):
    if max_length < 2 or not token_lists:
        raise ValueError(f"{len(token_lists)} texts of at most {max_length} tokens")
    cls, sep, pad, unk = (vocab[mark] for mark in ("[CLS]", "[SEP]", "[PAD]", "[UNK]"))
    rows = [[cls, *[vocab.get(token, unk) for token in tokens][: max_length - 2], sep] for tokens in token_lists]
    longest = max(map(len, rows))
    return {
        "input_ids": np.array([row + [pad] * (longest - len(row)) for row in rows], dtype="int64"),
        "attention_mask": np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows], dtype="int64"),
    }


@alternative(of="encode_batch")
def batch_by_lengths(token_lists, vocab, max_length):
    if len(token_lists) < 1:
        raise ValueError("no texts")
    if max_length <= 1:
        raise ValueError(f"max_length={max_length}")
    lengths = np.array([min(len(tokens), max_length - 2) + 2 for tokens in token_lists])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    ids = np.full(mask.shape, vocab["[PAD]"], dtype=np.int64)
    ids[:, 0] = vocab["[CLS]"]
    for row, (tokens, length) in enumerate(zip(token_lists, lengths, strict=True)):
        for place, token in enumerate(list(tokens)[: length - 2], start=1):
            ids[row, place] = vocab[token] if token in vocab else vocab["[UNK]"]
        ids[row, length - 1] = vocab["[SEP]"]
    return {"attention_mask": mask, "input_ids": ids}


@alternative(of="align_labels")
def labels_by_first_sight(word_labels, word_ids):
    seen, labels = {None}, []
    for word in word_ids:
        if word is not None and not 0 <= word < len(word_labels):
            raise ValueError(f"no label for word {word}")
        labels.append(-100 if word in seen else word_labels[word])
        seen.add(word)
    return labels


@alternative(of="align_labels")
def labels_at_first_places(word_labels, word_ids):
    word_ids = list(word_ids)
    labels = [-100] * len(word_ids)
    for word in set(word_ids) - {None}:
        if word < 0 or word >= len(word_labels):
            raise ValueError(f"word {word} of {len(word_labels)}")
        labels[word_ids.index(word)] = word_labels[word]
    return labels
