"""Hour 1 · Transformer fundamentals

**Goal:** know the Transformer from the inside. You build attention from the arithmetic up, then the two
choices that set BERT and GPT apart: what a token may look at, and what it is asked to predict.

- **0–15 min · video.** The Hugging Face course, *The Transformer architecture*:
  https://www.youtube.com/watch?v=H39Z_720T5s
  Then warm up with `softmax`: every attention weight comes out of it.
- **15–45 min · reading.** Jay Alammar, *The Illustrated Transformer*:
  https://jalammar.github.io/illustrated-transformer/
  Code each idea when you have met it: `scaled_dot_product_attention`, `causal_mask`, `padding_mask`,
  `split_heads`, `merge_heads`, `multi_head_attention`.
- **45–60 min · BERT against GPT.** Niklas Heidloff, *Differences between BERT and GPT*:
  https://heidloff.net/article/introducing-bert-gpt-transformers/
  Their two training objectives are `masked_lm_labels` and `causal_lm_labels`.
  Optional: *Attention Is All You Need*, https://arxiv.org/abs/1706.03762 (sections 3.1 to 3.3 and 3.5).
- **Stretch, whenever you like.** `sinusoidal_positions`, `layer_norm` and `gelu` are the missing parts;
  `encoder_block` is then a layer of BERT, `decoder_block` one of GPT-2, and `decode_step` is how GPT-2
  writes text without starting over at every token.

**Conventions**

- Letters: B sequences in a batch, T tokens in a sequence, D features of a token, H heads, F features inside
  the feed-forward network. `…` stands for any number of leading axes, none included; they broadcast.
- Weights are used as `x @ w + b`, so `w` is `(in, out)`.
- A mask is bool, and True means *may attend*.
- float32 in, float32 out; float64 stays float64; integers become float64.
- Inputs are never changed in place.
- Input that a docstring lists under *Raises* is refused with a message that shows the offending value.
"""

import numpy as np


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Turn logits into probabilities along one axis.

    Right for logits of ±1e4, and for rows that lie far apart from one another, without a warning from NumPy.
    A logit of −∞ gets probability 0, so long as its neighbours along `axis` are not all −∞.

    Args:
        x: logits, any shape with at least one axis.
        axis: the axis along which the probabilities sum to 1; negative counts from the end.

    Returns:
        Probabilities, the shape of `x`; float32 for float32, float64 for float64 and for integers.

    Raises:
        ValueError: a dtype that is neither integer nor float (the message shows it), an empty `axis` (shows
            the shape of `x`), an `axis` that `x` does not have (shows the axis).

    Source:
        Goodfellow, Bengio, Courville, Deep Learning, section 4.1, Overflow and Underflow:
        https://www.deeplearningbook.org/contents/numerical.html

    Example:
        >>> softmax(np.array([[0.0, 0.0], [10000.0, -10000.0]]))
        array([[0.5, 0.5],
               [1. , 0. ]])
    """
    raise NotImplementedError


def scaled_dot_product_attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Let every query take a weighted average of the values whose keys it matches.

    A query that may attend to nothing gets weights 0 and output 0: no NaN, no warning.

    Args:
        q: queries, `(…, Tq, d)`.
        k: keys, `(…, Tk, d)`.
        v: values, `(…, Tk, dv)`; Tk may differ from Tq, and dv from d.
        mask: bool, broadcastable to `(…, Tq, Tk)`, True = may attend; None lets all attend to all.

    Returns:
        `(output, weights)`: `(…, Tq, dv)` and `(…, Tq, Tk)`, the weights of a query summing to 1; the output
        float32 if all inputs are, the weights if `q` and `k` are, else float64.

    Raises:
        ValueError: `q`, `k` or `v` with fewer than two axes, with an axis of length 0 or of a dtype neither
            integer nor float; `q` and `k` that differ in the last axis; `k` and `v` that differ in Tk; a
            `mask` that is not bool or does not fit. The message shows the shape or the dtype.

    Source:
        Attention Is All You Need, section 3.2.1: https://arxiv.org/abs/1706.03762
        https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html

    Example:
        >>> q, k = np.zeros((1, 4)), np.zeros((3, 4))  # no key matches better than another
        >>> v = np.array([[1.0], [2.0], [9.0]])
        >>> scaled_dot_product_attention(q, k, v, mask=np.array([[True, True, False]]))
        (array([[1.5]]), array([[0.5, 0.5, 0. ]]))
    """
    raise NotImplementedError


def causal_mask(n: int) -> np.ndarray:
    """Make the mask with which no token sees a later one.

    Args:
        n: number of tokens, at least 1.

    Returns:
        bool `(n, n)`: entry `[i, j]` says whether token i may attend to token j. Every token sees itself.

    Raises:
        ValueError: n below 1; the message shows n.

    Source:
        Attention Is All You Need, section 3.2.3, third item: https://arxiv.org/abs/1706.03762

    Example:
        >>> causal_mask(3).astype(int)
        array([[1, 0, 0],
               [1, 1, 0],
               [1, 1, 1]])
    """
    raise NotImplementedError


def padding_mask(attention_mask: np.ndarray) -> np.ndarray:
    """Make the mask with which no token sees padding, ready for attention over heads.

    `padding_mask(attention_mask) & causal_mask(T)` is both masks at once, `(B, 1, T, T)`.

    Args:
        attention_mask: `(B, T)`, as a tokenizer gives it: 1 for a real token, 0 for padding.

    Returns:
        bool `(B, 1, 1, T)`, to broadcast against scores of `(B, H, T, T)`.

    Raises:
        ValueError: not two axes, or an axis of length 0 (the message shows the shape); a value other than
            0 and 1 (shows it).

    Source:
        https://huggingface.co/docs/transformers/glossary#attention-mask

    Example:
        >>> padding_mask(np.array([[1, 1, 0]]))
        array([[[[ True,  True, False]]]])
    """
    raise NotImplementedError


def split_heads(x: np.ndarray, n_heads: int) -> np.ndarray:
    """Cut each token's features into heads, and bring the heads in front of the tokens.

    Args:
        x: `(B, T, D)`.
        n_heads: H, at least 1; must divide D. Head h holds features `h * D/H` up to `(h + 1) * D/H`.

    Returns:
        `(B, H, T, D/H)`; values only move, the dtype of `x` stays.

    Raises:
        ValueError: not three axes, or an axis of length 0 (the message shows the shape); n_heads below 1 or
            no divisor of D (shows n_heads and D).

    Source:
        Attention Is All You Need, section 3.2.2: https://arxiv.org/abs/1706.03762

    Example:
        >>> split_heads(np.array([[[1, 2, 3, 4], [5, 6, 7, 8]]]), n_heads=2)
        array([[[[1, 2],
                 [5, 6]],
        <BLANKLINE>
                [[3, 4],
                 [7, 8]]]])
    """
    raise NotImplementedError


def merge_heads(x: np.ndarray) -> np.ndarray:
    """Put the heads of each token side by side again: the exact inverse of `split_heads`.

    Args:
        x: `(B, H, T, D/H)`.

    Returns:
        `(B, T, D)`; values only move, the dtype of `x` stays.

    Raises:
        ValueError: not four axes, or an axis of length 0; the message shows the shape.

    Source:
        Attention Is All You Need, section 3.2.2, Concat: https://arxiv.org/abs/1706.03762

    Example:
        >>> merge_heads(np.array([[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]]))
        array([[[1, 2, 3, 4],
                [5, 6, 7, 8]]])
    """
    raise NotImplementedError


def multi_head_attention(
    x: np.ndarray, weights: dict[str, np.ndarray], n_heads: int, mask: np.ndarray | None = None
) -> np.ndarray:
    """Let tokens attend to one another in several heads at once, self-attention as BERT and GPT use it.

    Args:
        x: `(B, T, D)`.
        weights: `w_q`, `w_k`, `w_v`, `w_o`, each `(D, D)`, and `b_q`, `b_k`, `b_v`, `b_o`, each `(D,)`: the
            projections to queries, keys and values, and the output projection. Other names may be there too.
        n_heads: H, at least 1; must divide D.
        mask: bool, broadcastable to `(B, H, T, T)`, True = may attend; None lets all attend to all.

    Returns:
        `(B, T, D)`; float32 if `x` and the weights are, else float64.

    Raises:
        ValueError: `x` not of three axes, with an axis of length 0 or of a dtype neither integer nor float;
            one of the eight weights of another shape; n_heads below 1 or no divisor of D; a `mask` that is
            not bool or does not fit. The message shows the shape, dtype or number.

    Source:
        Attention Is All You Need, section 3.2.2: https://arxiv.org/abs/1706.03762
        https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html

    Example:
        >>> weights = {"w_" + p: np.eye(2) for p in "qkvo"} | {"b_" + p: np.zeros(2) for p in "qkvo"}
        >>> x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
        >>> multi_head_attention(x, weights, n_heads=1, mask=np.eye(2, dtype=bool))  # each sees only itself
        array([[[1., 2.],
                [3., 4.]]])
    """
    raise NotImplementedError


def causal_lm_labels(ids: np.ndarray) -> np.ndarray:
    """Make GPT's training labels: every token is to predict the next one.

    Each label stands at the position whose logits are scored on it; −100 marks a position that is not scored,
    because nothing follows it. (Transformers' GPT-2 does this itself: there one passes `labels=input_ids`.)

    Args:
        ids: integer token ids, `(B, T)`, no padding.

    Returns:
        int64 `(B, T)`.

    Raises:
        ValueError: not two axes, or an axis of length 0 (the message shows the shape); a dtype that is not
            integer (shows it).

    Source:
        Radford et al., Improving Language Understanding by Generative Pre-Training, section 3.1:
        https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf

    Example:
        >>> causal_lm_labels(np.array([[11, 12, 13]]))
        array([[  12,   13, -100]])
    """
    raise NotImplementedError


def masked_lm_labels(ids: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """Make BERT's training labels: only the tokens that were hidden are to be predicted.

    Each label stands at the position whose logits are scored on it; −100 marks a position that is not scored.

    Args:
        ids: integer token ids before any was hidden, `(B, T)`.
        masked: bool `(B, T)`, True where the token was hidden from the model.

    Returns:
        int64 `(B, T)`.

    Raises:
        ValueError: `ids` not of two axes, with an axis of length 0 or not of integers; `masked` not bool or
            of another shape than `ids`. The message shows the shape or the dtype.

    Source:
        Devlin et al., BERT, section 3.1, Task #1: Masked LM: https://arxiv.org/abs/1810.04805

    Example:
        >>> masked_lm_labels(np.array([[11, 12, 13]]), np.array([[False, True, False]]))
        array([[-100,   12, -100]])
    """
    raise NotImplementedError


def sinusoidal_positions(n: int, d: int) -> np.ndarray:
    """Make the original Transformer's position encodings.

    Args:
        n: number of positions, at least 1; the first is position 0.
        d: features of a position, even, at least 2.

    Returns:
        float64 `(n, d)`: sines in the even columns, cosines in the odd ones.

    Raises:
        ValueError: n below 1, d below 2 or odd; the message shows the number.

    Source:
        Attention Is All You Need, section 3.5: https://arxiv.org/abs/1706.03762

    Example:
        >>> sinusoidal_positions(2, 4).round(4)
        array([[0.    , 1.    , 0.    , 1.    ],
               [0.8415, 0.5403, 0.01  , 1.    ]])
    """
    raise NotImplementedError


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float = 1e-12) -> np.ndarray:
    """Bring each token's features to mean 0 and variance 1, then scale and shift them as learned.

    Args:
        x: `(…, D)`, normalised over the last axis, with the population variance (divided by D).
        gamma: scale, `(D,)`.
        beta: shift, `(D,)`.
        eps: added to the variance, at least 0. BERT uses 1e-12, GPT-2 1e-5.

    Returns:
        The shape of `x`; float32 if `x`, `gamma` and `beta` are, else float64.

    Raises:
        ValueError: `x` with no axis, with an axis of length 0 or of a dtype neither integer nor float;
            `gamma` or `beta` not `(D,)`; eps below 0. The message shows the shape, dtype or number.

    Source:
        Ba, Kiros, Hinton, Layer Normalization, section 3: https://arxiv.org/abs/1607.06450
        https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html

    Example:
        >>> layer_norm(np.array([[1.0, 3.0], [50.0, 30.0]]), np.ones(2), np.zeros(2)).round(6)
        array([[-1.,  1.],
               [ 1., -1.]])
    """
    raise NotImplementedError


def gelu(x: np.ndarray, approximate: bool = False) -> np.ndarray:
    """Apply the Gaussian error linear unit, the activation of BERT and GPT-2, to each element.

    Args:
        x: any shape.
        approximate: False for the exact form, as BERT has it; True for the tanh form, as GPT-2 has it.

    Returns:
        The shape of `x`; float32 for float32, float64 for float64 and for integers.

    Raises:
        ValueError: a dtype that is neither integer nor float; the message shows it.

    Source:
        Hendrycks, Gimpel, Gaussian Error Linear Units, section 2: https://arxiv.org/abs/1606.08415
        https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html

    Example:
        >>> gelu(np.array([-1.0, 0.0, 1.0])).round(5)
        array([-0.15866,  0.     ,  0.84134])
        >>> gelu(np.array([-1.0, 0.0, 1.0]), approximate=True).round(5)
        array([-0.15881,  0.     ,  0.84119])
    """
    raise NotImplementedError


def encoder_block(
    x: np.ndarray, weights: dict[str, np.ndarray], n_heads: int, mask: np.ndarray | None = None
) -> np.ndarray:
    """Run one layer of BERT: tokens exchange information, then each thinks for itself.

    Self-attention, then a feed-forward network with exact gelu between its two linear layers. Around each of
    the two a residual connection, and a layer norm after it (post-norm, eps 1e-12): `ln_1` belongs to
    attention, `ln_2` to the feed-forward network.

    Args:
        x: `(B, T, D)`.
        weights: those of `multi_head_attention`, and `ln_1_gamma`, `ln_1_beta`, `ln_2_gamma`, `ln_2_beta`,
            each `(D,)`; `w_up` `(D, F)`, `b_up` `(F,)`, `w_down` `(F, D)`, `b_down` `(D,)`.
        n_heads: H, at least 1; must divide D.
        mask: bool, broadcastable to `(B, H, T, T)`, True = may attend; None lets all attend to all.

    Returns:
        `(B, T, D)`; float32 if `x` and the weights are, else float64.

    Raises:
        ValueError: what `multi_head_attention` and `layer_norm` refuse; `w_up` or `w_down` that do not fit.

    Source:
        Attention Is All You Need, sections 3.1 and 3.3: https://arxiv.org/abs/1706.03762
        Devlin et al., BERT, section 3: https://arxiv.org/abs/1810.04805

    Example:
        >>> weights = {"w_" + p: np.zeros((2, 2)) for p in ("q", "k", "v", "o", "up", "down")}
        >>> weights |= {"b_" + p: np.zeros(2) for p in ("q", "k", "v", "o", "up", "down")}
        >>> weights |= {"ln_1_gamma": np.ones(2), "ln_1_beta": np.zeros(2)}
        >>> weights |= {"ln_2_gamma": np.ones(2), "ln_2_beta": np.zeros(2)}
        >>> encoder_block(np.array([[[1.0, 5.0]]]), weights, n_heads=1).round(6)  # what is left is the norm
        array([[[-1.,  1.]]])
    """
    raise NotImplementedError


def decoder_block(x: np.ndarray, weights: dict[str, np.ndarray], n_heads: int) -> np.ndarray:
    """Run one layer of GPT-2: as BERT's, but causal, and normalised before each part.

    Self-attention in which no token sees a later one, then a feed-forward network with the tanh form of gelu.
    Each of the two reads a layer norm of the stream (pre-norm, eps 1e-5; `ln_1` for attention, `ln_2` for the
    feed-forward network) and is added back to the stream itself.

    Args:
        x: `(B, T, D)`.
        weights: as in `encoder_block`.
        n_heads: H, at least 1; must divide D.

    Returns:
        `(B, T, D)`; float32 if `x` and the weights are, else float64. Token j has no part in any output
        before j.

    Raises:
        ValueError: `x` not of three axes (the message shows the shape); what `multi_head_attention` and
            `layer_norm` refuse; `w_up` or `w_down` that do not fit.

    Source:
        Radford et al., Language Models are Unsupervised Multitask Learners (GPT-2), section 2.3:
        https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf

    Example:
        >>> weights = {"w_" + p: np.zeros((2, 2)) for p in ("q", "k", "v", "o", "up", "down")}
        >>> weights |= {"b_" + p: np.zeros(2) for p in ("q", "k", "v", "o", "up", "down")}
        >>> weights |= {"ln_1_gamma": np.ones(2), "ln_1_beta": np.zeros(2)}
        >>> weights |= {"ln_2_gamma": np.ones(2), "ln_2_beta": np.zeros(2)}
        >>> decoder_block(np.array([[[1.0, 5.0]]]), weights, n_heads=1)  # what is left is the stream
        array([[[1., 5.]]])
    """
    raise NotImplementedError


def decode_step(
    x_t: np.ndarray, cache: dict[str, np.ndarray] | None, weights: dict[str, np.ndarray], n_heads: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run `decoder_block` for one new token, with the keys and values of the earlier ones remembered.

    The t-th call gives what `decoder_block` gives at the last of t tokens, without computing the earlier ones
    again.

    Args:
        x_t: the new token of each sequence, `(B, D)`.
        cache: None before the first token; then what the previous call returned: `{"k", "v"}`, the keys and
            values that attention used, each `(B, H, t, D/H)` after t tokens. Left as it was.
        weights: as in `encoder_block`.
        n_heads: H, at least 1; must divide D.

    Returns:
        `(y_t, cache)`: the block's output for the new token, `(B, D)`, and a new cache with one token more,
        each `(B, H, t + 1, D/H)`; float32 if all inputs are, else float64.

    Raises:
        ValueError: `x_t` not of two axes (the message shows the shape), or refused by `layer_norm`; n_heads
            below 1 or no divisor of D (shows n_heads and D); a `cache` of another B, H or D/H (shows that
            number).

    Source:
        https://huggingface.co/docs/transformers/cache_explanation

    Example:
        >>> weights = {"w_" + p: np.eye(2) for p in ("q", "k", "v", "o", "up", "down")}
        >>> weights |= {"b_" + p: np.zeros(2) for p in ("q", "k", "v", "o", "up", "down")}
        >>> weights |= {"ln_1_gamma": np.ones(2), "ln_1_beta": np.zeros(2)}
        >>> weights |= {"ln_2_gamma": np.ones(2), "ln_2_beta": np.zeros(2)}
        >>> x = np.array([[[1.0, 5.0], [2.0, -4.0]]])
        >>> _, cache = decode_step(x[:, 0], None, weights, n_heads=1)
        >>> y_1, cache = decode_step(x[:, 1], cache, weights, n_heads=1)
        >>> bool(np.allclose(y_1, decoder_block(x, weights, n_heads=1)[:, 1])), cache["k"].shape
        (True, (1, 1, 2, 2))
    """
    raise NotImplementedError
