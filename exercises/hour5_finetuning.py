"""Hour 5 · Fine-tuning a pretrained Transformer

**Goal:** the mini-project. You take DistilBERT, teach it to tell good film reviews from bad ones, and find out what
it has learnt on reviews that it never saw.

- **0–15 min · set up.** The model is an encoder with a new, untrained head of two labels on top:

      from transformers import AutoModelForSequenceClassification
      model = AutoModelForSequenceClassification.from_pretrained("distilbert-base-uncased", num_labels=2)

  Write `compute_metrics`, `training_arguments` and `build_trainer`. The Trainer's documentation:
  https://huggingface.co/docs/transformers/main_classes/trainer
- **15–45 min · fine-tune with the Trainer.** The plan's settings, as they were written for an older library:

      from transformers import TrainingArguments, Trainer

      training_args = TrainingArguments(
          output_dir="output",
          evaluation_strategy="epoch",
          learning_rate=2e-5,
          per_device_train_batch_size=16,
          per_device_eval_batch_size=16,
          num_train_epochs=2,
          weight_decay=0.01,
          logging_steps=50,
      )

      trainer = Trainer(
          model=model,
          args=training_args,
          train_dataset=train_dataset,  # from Hour 4
          eval_dataset=eval_dataset
      )
      trainer.train()

  One of these names has changed since (the library tells you which), and this Trainer would neither pad nor measure
  anything. Put your version of it into `fine_tune`. It is trained for real: about two minutes on two cores.
- **45–60 min · evaluate on the test split.** What the plan does with `trainer.predict`, `evaluate` does with what was
  saved, as whoever uses your model will:

      import numpy as np
      preds = trainer.predict(tokenized_imdb["test"])
      pred_labels = np.argmax(preds.predictions, axis=1)
      true_labels = np.array(tokenized_imdb["test"]["label"])
      accuracy = (pred_labels == true_labels).mean()
      print("Test Accuracy:", accuracy)

  Beside an accuracy belong the baselines: what the majority label would get (0.50 here), and what bags of words get,
  TF-IDF with logistic regression on the same rows.
- **Stretch, whenever you like.** What the Trainer did for you: `cross_entropy`, `linear_schedule`, `decay_groups`.
  What to do before a long run: `overfit_one_batch`. And what to do after one: `worst_mistakes`, `calibration_error`.

**Conventions**

- Label 0 is `neg`, label 1 is `pos`, the positive class.
- N texts, C labels.
- Dictionaries of measures hold Python floats.
- A dataset has been tokenized as in hour 4: its columns are `input_ids`, `attention_mask` and `label`; rows are
  truncated and not padded.
- Input that a docstring lists under *Raises* is refused with a message that shows the offending value.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    EvalPrediction,
    Trainer,
    TrainingArguments,
    set_seed,
)


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Measure how good the predictions of two labels are.

    The Trainer calls this after every evaluation. What is undefined counts as 0.0: the precision when nothing was
    called positive, the recall when nothing is, the F1 when neither.

    Args:
        prediction: `prediction.predictions` are the logits, float array `(N, 2)`; `prediction.label_ids` the labels,
            integer array `(N,)` of 0 and 1. Of equal logits, the lower label is the predicted one.

    Returns:
        `{"accuracy", "precision", "recall", "f1"}`, Python floats from 0 to 1; the last three are those of label 1.

    Raises:
        ValueError: logits that are not `(N, 2)` with N at least 1, labels that are not `(N,)`. The message shows the
            shape.

    Source:
        https://huggingface.co/learn/llm-course/chapter3/3#evaluation
        https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_recall_fscore_support.html

    Example:
        >>> logits = np.array([[0.1, 0.9], [2.0, 1.0], [0.0, 3.0], [0.3, 0.2]])
        >>> compute_metrics(EvalPrediction(predictions=logits, label_ids=np.array([1, 0, 0, 0])))
        {'accuracy': 0.75, 'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666}
    """
    raise NotImplementedError


def training_arguments(output_dir: str, **overrides: Any) -> TrainingArguments:
    """Spell out the plan's settings as today's Transformers wants them.

    Learning rate 2e-5, batches of 16 for training and for evaluation, 2 epochs, weight decay 0.01, an evaluation
    after every epoch, a log entry every 50 steps.

    Args:
        output_dir: where the Trainer puts its checkpoints.
        overrides: any arguments of TrainingArguments. They add to the plan's settings and win over them.

    Returns:
        The arguments for a Trainer. What neither the plan nor `overrides` say is free.

    Raises:
        TypeError: an override that TrainingArguments does not know; its own error will do.

    Source:
        https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments

    Example:
        >>> arguments = training_arguments("output", num_train_epochs=1)
        >>> arguments.num_train_epochs, arguments.learning_rate
        (1, 2e-05)
    """
    raise NotImplementedError


def build_trainer(checkpoint: str, train: Dataset, validation: Dataset, arguments: TrainingArguments) -> Trainer:
    """Put together what a fine-tuning run needs: model, tokenizer, data, padding and measures.

    Args:
        checkpoint: folder or name of a pretrained encoder and its tokenizer. The encoder keeps its weights; the
            classification head is new.
        train: the rows to train on, tokenized, of different lengths.
        validation: the rows to evaluate on.
        arguments: the settings.

    Returns:
        A Trainer, not trained yet. Its model has two labels, 0 called `neg` and 1 called `pos`, and all of its
        parameters can be trained. It pads every batch to the longest row of that batch, no further. An evaluation is
        on `validation` and gives the measures of `compute_metrics`. It knows the tokenizer, so that it saves it along
        with the model.

    Source:
        https://huggingface.co/docs/transformers/tasks/sequence_classification
        https://huggingface.co/docs/transformers/main_classes/data_collator#transformers.DataCollatorWithPadding
    """
    raise NotImplementedError


def fine_tune(
    checkpoint: str, train: Dataset, validation: Dataset, output_dir: str, seed: int, **overrides: Any
) -> dict[str, float]:
    """Fine-tune a pretrained encoder on reviews, save the result and say how good it is.

    The same seed on the same machine gives the same weights, whatever random numbers were drawn before: those of the
    new head, of dropout and of the order of the rows.

    Args:
        checkpoint: folder or name of a DistilBERT and its tokenizer.
        train: the rows to train on, as for `build_trainer`.
        validation: the rows to evaluate on after the training.
        output_dir: where model and tokenizer are saved: a folder from which `AutoModelForSequenceClassification` and
            `AutoTokenizer` load them.
        seed: what everything random comes from.
        overrides: what is to differ from the plan's settings, as for `training_arguments`. One more is known here:
            `frozen_layers=n` leaves the embeddings and the lowest n layers of the encoder as they were, which saves
            much of the time; by default nothing is frozen and the whole model is trained.

    Returns:
        What `Trainer.evaluate` gives on `validation` after the training: `eval_accuracy`, `eval_precision`,
        `eval_recall`, `eval_f1`, `eval_loss` and what else it has.

    Raises:
        ValueError: `frozen_layers` below 0 or more than the encoder has layers; the message shows it.

    Source:
        https://huggingface.co/docs/transformers/main_classes/trainer
        https://huggingface.co/docs/transformers/internal/trainer_utils#transformers.set_seed
        Sun, Qiu, Xu, Huang, How to Fine-Tune BERT for Text Classification?: https://arxiv.org/abs/1905.05583
    """
    raise NotImplementedError


def evaluate(model_dir: str, texts: Sequence[str], labels: Sequence[int]) -> dict[str, Any]:
    """Try a saved classifier on texts whose labels are known.

    Nothing random is left in it: dropout is off. The same whatever texts come together in a batch.

    Args:
        model_dir: folder with a sequence classification model of C labels and its tokenizer.
        texts: N of them. A text longer than the tokenizer's `model_max_length` is cut there.
        labels: N integers from 0 to C − 1.

    Returns:
        `{"accuracy", "confusion"}`: a float, and a list of C lists of C ints. Row i, column j of `confusion` counts
        the texts of label i that were called j; labels that do not occur have their rows and columns too.

    Raises:
        ValueError: no texts; a different number of labels (the message shows both numbers); a label outside 0 to
            C − 1 (shows the label).

    Source:
        https://scikit-learn.org/stable/modules/generated/sklearn.metrics.confusion_matrix.html
        https://huggingface.co/docs/transformers/tasks/sequence_classification#inference
    """
    raise NotImplementedError


def linear_schedule(step: int, warmup: int, total: int) -> float:
    """Say by what factor the learning rate is multiplied at a step.

    It rises from 0 in equal steps to 1 at step `warmup`, falls in equal steps to 0 at step `total`, and stays there.
    Without warm-up it starts at 1.

    Args:
        step: steps already taken, 0 or more.
        warmup: steps of the rise, 0 or more.
        total: all steps, at least `warmup`.

    Returns:
        The factor, from 0.0 to 1.0.

    Raises:
        ValueError: a `step` or a `warmup` below 0, a `warmup` above `total`. The message shows it.

    Source:
        https://huggingface.co/docs/transformers/main_classes/optimizer_schedules#transformers.get_linear_schedule_with_warmup

    Example:
        >>> [linear_schedule(step, warmup=2, total=6) for step in range(8)]
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    raise NotImplementedError


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, ignore_index: int = -100) -> torch.Tensor:
    """Average the negative log-probability that each row gives to its label.

    Right and finite for logits of ±1e4. The gradient flows back to `logits`.

    Args:
        logits: float32 or float64 `(N, C)`.
        labels: int64 `(N,)`, each from 0 to C − 1, or `ignore_index`.
        ignore_index: rows with this label do not count.

    Returns:
        The mean over the rows that count, a tensor of no dimensions, in the dtype of `logits`; 0.0 when none counts,
        where torch's own gives NaN.

    Raises:
        ValueError: logits that are not `(N, C)` or labels that are not `(N,)` (the message shows the shape); a label
            out of range that is not `ignore_index` (shows the label).

    Source:
        https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html

    Example:
        >>> logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
        >>> cross_entropy(logits, torch.tensor([0, -100]))
        tensor(0.6931)
    """
    raise NotImplementedError


def decay_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Sort a model's parameters into those that weight decay pulls towards zero and those that it leaves alone.

    Left alone are the parameters of `torch.nn.LayerNorm` modules, and parameters whose own name, the last part of
    their full one, is `bias`.

    Args:
        model: any module.
        weight_decay: the decay of the first group.

    Returns:
        Two groups as torch's optimizers take them, first `{"params": […], "weight_decay": weight_decay}`, then
        `{"params": […], "weight_decay": 0.0}`, even where one is empty. Together they hold every parameter that
        requires a gradient exactly once, one that is shared by two modules included, and no other.

    Source:
        https://docs.pytorch.org/docs/stable/optim.html#per-parameter-options
    """
    raise NotImplementedError


def overfit_one_batch(checkpoint: str, batch: dict[str, torch.Tensor], steps: int) -> list[float]:
    """Train a classifier on one and the same batch until it knows it by heart: the sanity check before any real run.

    If the loss does not go down to nearly zero here, something is wrong that no amount of data will mend: labels,
    padding, learning rate, a part that gets no gradient. Dropout is off, so that nothing random stands in the way.
    All parameters are trained, by AdamW or another optimizer like it; a learning rate of 1e-3 is high enough.

    Args:
        checkpoint: folder or name of a sequence classification model, or of an encoder that gets a new head.
        batch: `input_ids`, `attention_mask` `(N, T)` and `labels` `(N,)`, int64.
        steps: how often the optimizer steps, at least 1; 40 must get eight short texts to a loss below 0.1.

    Returns:
        `steps` losses, Python floats: each the loss on the batch before the step was taken, so that the first one is
        that of the checkpoint as it was.

    Raises:
        ValueError: `steps` below 1; the message shows it.

    Source:
        Andrej Karpathy, A Recipe for Training Neural Networks, "overfit one batch":
        https://karpathy.github.io/2019/04/25/recipe/
    """
    raise NotImplementedError


def _checked(probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, the probabilities in float64; refuses what does not fit together."""
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if probabilities.ndim != 2:
        raise ValueError(f"probabilities must be (N, C), got shape {probabilities.shape}")
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(f"labels must be ({len(probabilities)},), got shape {labels.shape}")
    return probabilities, labels


def worst_mistakes(probabilities: np.ndarray | torch.Tensor, labels: np.ndarray | torch.Tensor, k: int) -> list[int]:
    """Find the wrong predictions that the model was surest of: the texts to read first.

    Args:
        probabilities: `(N, C)`, the rows summing to 1. Of equal ones, the lower label is the predicted one.
        labels: integers `(N,)`.
        k: how many to give at most, 0 or more.

    Returns:
        Row numbers, those with the highest probability of the wrongly predicted label first, the lower number first
        where they are equal; fewer than k when there are no more mistakes.

    Raises:
        ValueError: probabilities that are not `(N, C)`, labels that are not `(N,)` (the message shows the shape), a
            `k` below 0 (shows k).

    Example:
        >>> worst_mistakes(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), np.array([1, 0, 1]), k=5)
        [0, 1]
    """
    raise NotImplementedError


def calibration_error(
    probabilities: np.ndarray | torch.Tensor, labels: np.ndarray | torch.Tensor, bins: int = 10
) -> float:
    """Measure how far a model's confidence is from its accuracy: the expected calibration error.

    The confidence of a row is the probability of the label it predicts. Rows are put by it into `bins` bins of equal
    width from 0 to 1, each without its lower and with its upper edge. In each bin, the mean confidence is compared
    with the share of right predictions; the absolute differences are averaged, each bin weighted by its rows.

    Args:
        probabilities: `(N, C)`, N at least 1, the rows summing to 1.
        labels: integers `(N,)`.
        bins: how many bins, at least 1.

    Returns:
        The error, from 0.0 to 1.0.

    Raises:
        ValueError: probabilities that are not `(N, C)` or have no rows, labels that are not `(N,)` (the message shows
            the shape), `bins` below 1 (shows bins).

    Source:
        Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, section 2: https://arxiv.org/abs/1706.04599

    Example:
        >>> calibration_error(np.array([[0.25, 0.75], [0.25, 0.75]]), np.array([1, 0]), bins=4)
        0.25
    """
    raise NotImplementedError
