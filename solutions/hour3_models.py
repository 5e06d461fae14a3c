"""Hour 3 · The Transformers library

**Goal:** quickly leverage pre-trained models for inference and training. You use a model three ways: through a
pipeline, through its parts, and through a training loop, and each time you write by hand what the library does
for you, so that you know what it did.

- **0–20 min · quick inference with pipelines.** Explore the Transformers pipeline documentation:
  https://huggingface.co/docs/transformers/main_classes/pipeline
  `classify` is a pipeline in two lines; `classify_by_hand` is what happens inside of it.
- **20–35 min · loading models and tokenizers.** Practise loading models with

  ```python
  from transformers import AutoModel, AutoTokenizer
  model = AutoModel.from_pretrained("bert-base-uncased")
  tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
  ```

  Here they come from `checkpoint("bert-base-uncased")`, in `deepdive.assets`: a folder that is prepared on your
  machine, or the name on the Hub with `DEEPDIVE_ASSETS=hub`. Write `load_encoder`, look at what you have got with
  `count_parameters`, and turn texts into vectors with `mean_pool` and `embed`.
- **35–60 min · training loops with the Trainer API.** Read *Fine-tuning with the Trainer*:
  https://huggingface.co/learn/nlp-course/chapter3/3?fw=pt
  and review the Trainer's documentation: https://huggingface.co/docs/transformers/main_classes/trainer
  Write `training_step`, the few lines that the Trainer runs a thousand times.
- **Stretch, whenever you like.** `train_with_trainer` has the Trainer do it; `semantic_search` puts your vectors
  to use; `embed_fast` gives the same vectors in a fraction of the time.

**Conventions**

- Letters: N texts, B sequences in a batch, T tokens in a sequence, D features of a token, C labels.
- `checkpoint` is what `from_pretrained` takes: a folder, or a name on the Hub.
- `model` and `tokenizer` are loaded already, the model in evaluation mode unless it is about to be trained.
- Texts are strings of whole characters. What is none, or holds half a surrogate pair, a tokenizer refuses by a
  TypeError or a ValueError of its own, which passes through.
- Texts longer than the model can take are cut: to `tokenizer.model_max_length` tokens, special ones included, which
  is what `truncation=True` does. A tokenizer does not do it unless it is told to.
- Input that a docstring lists under *Raises* is refused with a message that shows the offending value.
"""

import torch
from datasets import Dataset
from torch import nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    pipeline,
)


def load_encoder(checkpoint: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a checkpoint's encoder, without any head, and the tokenizer that belongs to it.

    Works for any architecture: the checkpoint says which it is.

    Args:
        checkpoint: a folder, or a name on the Hub.

    Returns:
        `(model, tokenizer)`: the model with its trained weights, float32, all of them trainable, in evaluation mode,
        so that dropout is off.

    Raises:
        OSError: there is no such checkpoint. ValueError: nor could there be one, because this is neither a folder nor
            like a name on the Hub. Both are the library's own errors, passed on untouched.

    Source:
        https://huggingface.co/docs/transformers/model_doc/auto

    Example:
        >>> from deepdive.assets import checkpoint
        >>> model, tokenizer = load_encoder(checkpoint("minilm"))
        >>> type(model).__name__, tokenizer.tokenize("unaffable")
        ('BertModel', ['una', '##ffa', '##ble'])
    """
    ### BEGIN SOLUTION
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint)
    return model.eval(), tokenizer  # from_pretrained does this too; who reads it here need not know
    ### END SOLUTION


def count_parameters(model: nn.Module) -> dict[str, int | float]:
    """Count a model's parameters, those that train, and how much of it is embedding tables.

    Args:
        model: any torch module.

    Returns:
        `total`: all numbers in all parameters, int. `trainable`: those that an optimizer may change
        (`requires_grad`), int. `embedding_share`: the weights of all `nn.Embedding` modules as a share of `total`,
        float, 0 to 1; 0.0 for a model without parameters.
        A weight that stands in two places at once, as when the output layer is tied to the embeddings, counts once.
        Buffers, such as the running means of a BatchNorm, are no parameters.

    Source:
        https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.parameters

    Example:
        >>> count_parameters(nn.Sequential(nn.Embedding(10, 3), nn.Linear(3, 2)))
        {'total': 38, 'trainable': 38, 'embedding_share': 0.7894736842105263}
    """
    ### BEGIN SOLUTION
    parameters = list(model.parameters())  # lists a tied weight only once
    total = sum(parameter.numel() for parameter in parameters)
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    tables = {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}  # a set: once as well
    embedded = sum(table.numel() for table in tables)
    return {"total": total, "trainable": trainable, "embedding_share": embedded / total if total else 0.0}
    ### END SOLUTION


def mean_pool(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Average each text's token vectors, padding left out.

    A text that is all padding gets zeros, not NaN. Gradients flow through.

    Args:
        hidden: `(B, T, D)` float, the hidden states of the last layer.
        attention_mask: `(B, T)`, as a tokenizer gives it: 1 for a real token, 0 for padding; integers or bool.

    Returns:
        `(B, D)`, in the dtype of `hidden`.

    Raises:
        ValueError: `hidden` not of three axes, or an `attention_mask` that is not `(B, T)`; the message shows the
            shape.

    Source:
        Reimers and Gurevych, Sentence-BERT, section 3, the MEAN strategy: https://arxiv.org/abs/1908.10084

    Example:
        >>> hidden = torch.tensor([[[2.0, 0.0], [4.0, 6.0], [9.0, 9.0]]])
        >>> mean_pool(hidden, torch.tensor([[1, 1, 0]]))
        tensor([[3., 3.]])
    """
    ### BEGIN SOLUTION
    if hidden.ndim != 3:
        raise ValueError(f"hidden must be (B, T, D), got shape {tuple(hidden.shape)}")
    if attention_mask.shape != hidden.shape[:2]:
        raise ValueError(f"attention_mask must be {tuple(hidden.shape[:2])}, got shape {tuple(attention_mask.shape)}")
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1): one weight for all features of a token
    tokens = mask.sum(dim=1).clamp(min=1)  # where there is no token, the sum is 0 already: 0 / 1 and not 0 / 0
    return (hidden * mask).sum(dim=1) / tokens
    ### END SOLUTION


def embed(
    texts: list[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int = 32
) -> torch.Tensor:
    """Turn texts into vectors of length 1: the mean of the last hidden states, padding left out.

    A text's vector does not depend on the texts that it shares a batch with. No graph for gradients is recorded.

    Args:
        texts: N texts; empty ones are texts too.
        model: an encoder in evaluation mode, wherever it is (`model.device`).
        tokenizer: the model's own.
        batch_size: how many texts go through the model at a time at most, at least 1.

    Returns:
        float32 `(N, D)` on the CPU, in the order of the texts, `(0, D)` for no texts; D is
        `model.config.hidden_size`.

    Raises:
        ValueError: a batch_size below 1 (the message shows it); one str instead of a list of them, which would be
            taken for a list of letters (shows it).

    Source:
        https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, section Usage (HuggingFace Transformers)

    Example:
        >>> from deepdive.assets import checkpoint
        >>> model, tokenizer = load_encoder(checkpoint("minilm"))
        >>> great, awful, cats = embed(["A great film.", "What an awful film!", "Cats purr."], model, tokenizer)
        >>> bool(great @ awful > great @ cats)  # about the same thing, whatever they say of it
        True
    """
    ### BEGIN SOLUTION
    if isinstance(texts, str):
        raise ValueError(f"texts must be a list of texts, got the one text {texts!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    vectors = [torch.empty(0, model.config.hidden_size)]  # so that no texts are no special case
    with torch.no_grad():
        for start in range(0, len(texts), batch_size):
            batch = tokenizer(
                texts[start : start + batch_size], padding=True, truncation=True, return_tensors="pt"
            ).to(model.device)
            # **batch hands over the attention mask too: without it the real tokens would attend to the padding.
            hidden = model(**batch).last_hidden_state.float()
            pooled = mean_pool(hidden, batch["attention_mask"])
            vectors.append(nn.functional.normalize(pooled, dim=-1).cpu())
    return torch.cat(vectors)
    ### END SOLUTION


def classify(texts: list[str], checkpoint: str) -> list[dict[str, str | float]]:
    """Label texts with the library's text-classification pipeline.

    Args:
        texts: N texts, of any length; too long ones are cut.
        checkpoint: of a model with a classification head, such as `checkpoint("sentiment")`.

    Returns:
        For each text `{"label": …, "score": …}`: the name of the most probable label, str, and its probability (the
        softmax over all labels), float. No texts: `[]`.

    Source:
        https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.TextClassificationPipeline

    Example:
        >>> from deepdive.assets import checkpoint
        >>> [said] = classify(["A wonderful film, I loved every minute."], checkpoint("sentiment"))
        >>> said["label"]
        'POSITIVE'
    """
    ### BEGIN SOLUTION
    classifier = pipeline("text-classification", model=checkpoint)
    return classifier(texts, truncation=True)  # a pipeline does not cut long texts unless it is told to
    ### END SOLUTION


def classify_by_hand(
    texts: list[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[dict[str, str | float]]:
    """Label texts as the pipeline does, without the pipeline: text, ids, logits, probabilities, label.

    No graph for gradients is recorded.

    Args:
        texts: N texts, of any length; too long ones are cut.
        model: a classifier in evaluation mode; `model.config.id2label` has its labels' names.
        tokenizer: the model's own.

    Returns:
        As `classify`: for each text `{"label": …, "score": …}`, the most probable label and its probability, a Python
        float. No texts: `[]`.

    Source:
        https://huggingface.co/learn/nlp-course/chapter2/2?fw=pt, Behind the pipeline
    """
    ### BEGIN SOLUTION
    if not texts:
        return []
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(model.device)
    with torch.no_grad():
        probabilities = model(**batch).logits.softmax(dim=-1)
    scores, indices = probabilities.max(dim=-1)
    names = model.config.id2label
    return [
        {"label": names[index], "score": score}
        for index, score in zip(indices.tolist(), scores.tolist(), strict=True)
    ]
    ### END SOLUTION


def training_step(
    model: PreTrainedModel,
    batch: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    max_grad_norm: float = 1.0,
) -> float:
    """Teach a model one batch: forward, backward, clip, step.

    The model learns in training mode, so that dropout is on, and is left in it. Gradients that an earlier backward
    pass has left behind do not count.

    Args:
        model: a model that computes its own loss when it is given `labels`; changed in place.
        batch: what the model takes, by name: `input_ids`, `attention_mask` `(B, T)` and `labels` `(B,)`.
        optimizer: over the model's parameters; it takes one step.
        max_grad_norm: greater than 0. If the gradients of all parameters, taken as one long vector, are longer than
            this, they are scaled down to it; shorter ones stay as they are.

    Returns:
        The loss on this batch before the step, a Python float.

    Raises:
        ValueError: a batch without labels (the message says `labels`); a max_grad_norm not above 0 (shows it).

    Source:
        https://huggingface.co/learn/nlp-course/chapter3/4?fw=pt, A full training loop
        Pascanu, Mikolov, Bengio, section 3.2, scaling down the gradients: https://arxiv.org/abs/1211.5063
    """
    ### BEGIN SOLUTION
    if "labels" not in batch:
        raise ValueError(f"the batch has no labels, only {list(batch)}")
    if not max_grad_norm > 0:
        raise ValueError(f"max_grad_norm must be greater than 0, got {max_grad_norm}")
    model.train()
    optimizer.zero_grad()  # backward adds to what is there
    loss = model(**batch).loss
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss.item()
    ### END SOLUTION


def semantic_search(
    query: str, corpus: list[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, top_k: int = 5
) -> list[tuple[int, float]]:
    """Find the texts that are closest in meaning to a query.

    Args:
        query: what is looked for.
        corpus: where it is looked for. Entries that are the query itself, letter for letter, are no findings and are
            left out.
        model: an encoder in evaluation mode.
        tokenizer: the model's own.
        top_k: how many findings are wanted, at least 1; all of them when there are fewer.

    Returns:
        `(index, cosine)`, best first: where in the corpus the text stands, int, and the cosine between its vector and
        the query's (`embed` gives both), float, rounded to 6 decimals. The rounding comes before the ranking, since a
        text's vector may differ in the last bits from batch to batch; ties go to the lower index.

    Raises:
        ValueError: top_k below 1; the message shows it.

    Source:
        https://www.sbert.net/examples/sentence_transformer/applications/semantic-search/README.html
    """
    ### BEGIN SOLUTION
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    indices = [index for index, text in enumerate(corpus) if text != query]
    vectors = embed([query, *(corpus[index] for index in indices)], model, tokenizer)
    cosines = vectors[1:] @ vectors[0]  # of vectors of length 1, the dot product is the cosine
    findings = [(index, round(cosine, 6)) for index, cosine in zip(indices, cosines.tolist(), strict=True)]
    return sorted(findings, key=lambda finding: (-finding[1], finding[0]))[:top_k]
    ### END SOLUTION


def train_with_trainer(
    model: PreTrainedModel, train: Dataset, evaluation: Dataset, output_dir: str
) -> dict[str, float]:
    """Train a classifier with the library's Trainer, and evaluate it on rows that it has not seen.

    The settings: 3 epochs, batches of 8, a learning rate of 3e-3 (the model is tiny and knows nothing yet; 2e-5 is
    for trained ones), evaluation after every epoch, no checkpoints saved, no reports to other services, all else as
    the library has it.

    Args:
        model: a classifier, changed in place.
        train: rows of `input_ids`, `attention_mask` and `label`, all of one length.
        evaluation: rows of the same kind.
        output_dir: a folder for whatever the Trainer writes.

    Returns:
        At least `train_loss`, the mean over the training, and `eval_loss` and `eval_accuracy` on `evaluation` by the
        trained model: the share of rows whose label it gets right, 0 to 1. Others of the Trainer's may be there.

    Source:
        https://huggingface.co/docs/transformers/main_classes/trainer
        What older texts, the plan of hour 5 among them, call `evaluation_strategy` is `eval_strategy` today.
    """
    ### BEGIN SOLUTION

    def accuracy(prediction: EvalPrediction) -> dict[str, float]:
        predicted = prediction.predictions.argmax(axis=-1)  # the predictions are logits, (N, C)
        return {"accuracy": float((predicted == prediction.label_ids).mean())}

    arguments = TrainingArguments(
        output_dir=output_dir,
        num_train_epochs=3,
        per_device_train_batch_size=8,
        learning_rate=3e-3,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=train, eval_dataset=evaluation, compute_metrics=accuracy
    )
    training = trainer.train()
    return {"train_loss": training.training_loss, **trainer.evaluate()}
    ### END SOLUTION


def embed_fast(texts: list[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Give the vectors that `embed` gives, in the same order, with hardly any time spent on padding.

    Texts of about the same number of tokens go through the model together, at most 32 at a time, and each batch is
    padded only to its own longest text. No graph for gradients is recorded.

    Args:
        texts: N texts.
        model: an encoder in evaluation mode.
        tokenizer: the model's own.

    Returns:
        float32 `(N, D)` on the CPU, in the order of `texts`, rows of length 1; `(0, D)` for no texts.

    Source:
        https://huggingface.co/docs/transformers/main_classes/data_collator#transformers.DataCollatorWithPadding
    """
    ### BEGIN SOLUTION
    vectors = torch.empty(len(texts), model.config.hidden_size)
    if not texts:
        return vectors
    encoded = tokenizer(texts, truncation=True)
    rows = [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]
    by_length = sorted(range(len(texts)), key=lambda index: len(rows[index]["input_ids"]))
    collate = DataCollatorWithPadding(tokenizer)  # pads to the longest of the rows it is given
    with torch.no_grad():
        for start in range(0, len(texts), 32):
            indices = by_length[start : start + 32]
            batch = collate([rows[index] for index in indices]).to(model.device)
            hidden = model(**batch).last_hidden_state.float()
            pooled = mean_pool(hidden, batch["attention_mask"])
            vectors[indices] = nn.functional.normalize(pooled, dim=-1).cpu()  # each back to its own place
    return vectors
    ### END SOLUTION
