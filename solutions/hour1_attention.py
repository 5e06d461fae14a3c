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
    ### BEGIN SOLUTION
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"softmax takes integers or floats, got dtype {x.dtype}")
    if np.size(x, axis) == 0:
        raise ValueError(f"softmax needs at least one logit along axis {axis}, got shape {x.shape}")
    x = x * 1.0  # integers become float64 before they can overflow; float32 stays float32
    # Shifting all logits of a row alike cancels out in the ratio. With the row's own maximum at 0, exp cannot
    # overflow and the sum is at least 1.
    exps = np.exp(x - x.max(axis=axis, keepdims=True))
    return exps / exps.sum(axis=axis, keepdims=True)
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    q, k, v = np.asarray(q), np.asarray(k), np.asarray(v)
    for name, a in (("q", q), ("k", k), ("v", v)):
        if a.dtype.kind not in "iuf" or a.ndim < 2 or a.size == 0:
            raise ValueError(f"{name} must be numbers in (…, T, d), no axis empty; got {a.dtype} {a.shape}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q and k must agree in the last axis, got {q.shape} and {k.shape}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"k and v must be equally many, got {k.shape} and {v.shape}")

    # A dot product of d terms of variance 1 has standard deviation √d: unscaled, it saturates the softmax.
    # `** 0.5` gives a Python float, which leaves float32 alone; np.sqrt would give a float64.
    scores = (q / q.shape[-1] ** 0.5) @ k.swapaxes(-1, -2)
    if mask is None:
        weights = softmax(scores)
    else:
        mask = np.asarray(mask)
        fits = np.broadcast_shapes(mask.shape, scores.shape)[-2:] == scores.shape[-2:]
        if mask.dtype != bool or not fits:
            raise ValueError(f"mask must be bool and fit {scores.shape}, got {mask.dtype} {mask.shape}")
        # −∞ before the softmax is weight 0 after it, and the others still sum to 1. A row of nothing but −∞
        # would be 0/0: a query that may attend to nothing keeps its scores, and its weights are zeroed after.
        has_key = mask.any(axis=-1, keepdims=True)
        weights = softmax(np.where(mask | ~has_key, scores, -np.inf)) * has_key
    return weights @ v, weights
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError(f"a causal mask needs at least one token, got n={n}")
    i, j = np.arange(n)[:, None], np.arange(n)
    return j <= i
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    attention_mask = np.asarray(attention_mask)
    if attention_mask.ndim != 2 or attention_mask.size == 0:
        raise ValueError(f"attention_mask must be (B, T), no axis empty; got shape {attention_mask.shape}")
    real = attention_mask == 1
    other = attention_mask[~real & (attention_mask != 0)]
    if other.size:
        raise ValueError(f"attention_mask must hold only 0 and 1, got {other[0]}")
    return real[:, None, None, :]  # one axis for the heads, one for the queries: hidden from all of them
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    x = np.asarray(x)
    if x.ndim != 3 or x.size == 0:
        raise ValueError(f"x must be (B, T, D), no axis empty; got shape {x.shape}")
    b, t, d = x.shape
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"D = {d} cannot be split into n_heads = {n_heads}")
    # Only the last axis may be cut. Reshaping straight to (B, H, T, D/H) would cut the time axis too.
    return x.reshape(b, t, n_heads, d // n_heads).swapaxes(1, 2)
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    x = np.asarray(x)
    if x.ndim != 4 or x.size == 0:
        raise ValueError(f"x must be (B, H, T, D/H), no axis empty; got shape {x.shape}")
    b, h, t, width = x.shape
    return x.swapaxes(1, 2).reshape(b, t, h * width)
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    x = np.asarray(x)
    if x.dtype.kind not in "iuf" or x.ndim != 3 or x.size == 0:
        raise ValueError(f"x must be numbers in (B, T, D), no axis empty; got {x.dtype} {x.shape}")
    d = x.shape[-1]
    for name in ("w_q", "b_q", "w_k", "b_k", "w_v", "b_v", "w_o", "b_o"):
        want = (d, d) if name.startswith("w") else (d,)
        if np.shape(weights[name]) != want:
            raise ValueError(f"{name} must have shape {want}, got {np.shape(weights[name])}")

    q, k, v = (split_heads(x @ weights[f"w_{p}"] + weights[f"b_{p}"], n_heads) for p in "qkv")
    heads, _ = scaled_dot_product_attention(q, k, v, mask)
    # Side by side the heads still know nothing of each other; the output projection is where they mix.
    return merge_heads(heads) @ weights["w_o"] + weights["b_o"]
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu" or ids.ndim != 2 or ids.size == 0:
        raise ValueError(f"ids must be integers in (B, T), no axis empty; got {ids.dtype} {ids.shape}")
    labels = np.full(ids.shape, -100, dtype=np.int64)
    labels[:, :-1] = ids[:, 1:]
    return labels
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    ids, masked = np.asarray(ids), np.asarray(masked)
    if ids.dtype.kind not in "iu" or ids.ndim != 2 or ids.size == 0:
        raise ValueError(f"ids must be integers in (B, T), no axis empty; got {ids.dtype} {ids.shape}")
    if masked.dtype != bool or masked.shape != ids.shape:
        raise ValueError(f"masked must be bool {ids.shape} like ids, got {masked.dtype} {masked.shape}")
    # No shift here: BERT reads both sides of the gap and fills it in where it stands.
    return np.where(masked, ids.astype(np.int64), -100)  # widened first: uint8 would turn −100 into 156
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    if n < 1 or d < 2 or d % 2:
        raise ValueError(f"n must be at least 1, and d even and at least 2; got n={n}, d={d}")
    # One frequency a pair of columns, and both its sine and its cosine: to move by a fixed offset is then to
    # rotate each pair by a fixed angle, which a linear layer can learn.
    two_i = np.arange(0, d, 2)
    angles = np.arange(n)[:, None] / 10000 ** (two_i / d)
    positions = np.empty((n, d))
    positions[:, 0::2] = np.sin(angles)
    positions[:, 1::2] = np.cos(angles)
    return positions
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    x = np.asarray(x)
    if x.dtype.kind not in "iuf" or x.ndim < 1 or x.size == 0:
        raise ValueError(f"x must be numbers in (…, D), no axis empty; got {x.dtype} {x.shape}")
    for name, a in (("gamma", gamma), ("beta", beta)):
        if np.shape(a) != x.shape[-1:]:
            raise ValueError(f"{name} must have shape {x.shape[-1:]}, got {np.shape(a)}")
    if eps < 0:
        raise ValueError(f"eps must be at least 0, got {eps}")
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * gamma + beta  # eps keeps a constant row from being 0/0
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    from scipy.special import erf

    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"gelu takes integers or floats, got dtype {x.dtype}")
    x = x * 1.0  # integers become float64
    # x times the chance that a standard normal variable falls below x.
    if approximate:
        return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / 2**0.5))
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    w = weights
    x = layer_norm(x + multi_head_attention(x, w, n_heads, mask), w["ln_1_gamma"], w["ln_1_beta"], eps=1e-12)
    inner = gelu(x @ w["w_up"] + w["b_up"])
    return layer_norm(x + inner @ w["w_down"] + w["b_down"], w["ln_2_gamma"], w["ln_2_beta"], eps=1e-12)
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    x, w = np.asarray(x), weights
    if x.ndim != 3:
        raise ValueError(f"x must be (B, T, D), got shape {x.shape}")
    # Nothing normalises the sum: from the first layer to the last, x is a stream that each part only adds to.
    normed = layer_norm(x, w["ln_1_gamma"], w["ln_1_beta"], eps=1e-5)
    x = x + multi_head_attention(normed, w, n_heads, causal_mask(x.shape[1]))
    normed = layer_norm(x, w["ln_2_gamma"], w["ln_2_beta"], eps=1e-5)
    return x + gelu(normed @ w["w_up"] + w["b_up"], approximate=True) @ w["w_down"] + w["b_down"]
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    x_t, w = np.asarray(x_t), weights
    if x_t.ndim != 2:
        raise ValueError(f"x_t must be (B, D), got shape {x_t.shape}")
    normed = layer_norm(x_t, w["ln_1_gamma"], w["ln_1_beta"], eps=1e-5)[:, None, :]  # a sequence of one token
    q, k, v = (split_heads(normed @ w[f"w_{p}"] + w[f"b_{p}"], n_heads) for p in "qkv")
    if cache is not None:
        k = np.concatenate([cache["k"], k], axis=2)
        v = np.concatenate([cache["v"], v], axis=2)
    # No mask: the newest token may see all there is. No older query either: its output is out already, and
    # causality means that this token cannot change it.
    heads, _ = scaled_dot_product_attention(q, k, v)
    x_t = x_t + (merge_heads(heads) @ w["w_o"] + w["b_o"])[:, 0, :]
    normed = layer_norm(x_t, w["ln_2_gamma"], w["ln_2_beta"], eps=1e-5)
    y_t = x_t + gelu(normed @ w["w_up"] + w["b_up"], approximate=True) @ w["w_down"] + w["b_down"]
    return y_t, {"k": k, "v": v}
    ### END SOLUTION
