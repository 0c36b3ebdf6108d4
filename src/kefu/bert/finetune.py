"""Fine-tuning: any BERT-like encoder becomes a classifier, with PyTorch, on CPU or CUDA.

Head and encoder are trained together (Devlin et al. 2019, "BERT"), the new head faster than the
encoder: it begins from noise.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kefu.bert.hugging_face import (
    CONFIG,
    as_fast,
    logits_of,
    max_tokens_of,
    open_for_training,
    open_tokenizer,
)
from kefu.bert.manifest import MAX_TOKENS
from kefu.bert.optional import require_torch
from kefu.bert.session import Logits
from kefu.bert.tokens import Tokens
from kefu.errors import InvalidInput, ModelError
from kefu.inference.models.whole_folder import written_whole
from kefu.inference.onnx_runtime import runs_by_length

Example = tuple[str, str]
"""A text and its label."""

# Chosen on BANKING77 with a 6-layer encoder: docs/bert.md.
EPOCHS = 5
BATCH = 32
LEARNING_RATE = 1e-4
LABEL_SMOOTHING = 0.1
HEAD_LEARNING_RATE_FACTOR = 10.0

_WARM_UP_SHARE = 0.1
_WEIGHT_DECAY = 0.01
_MAX_GRADIENT_NORM = 1.0

# Within so many batches texts are sorted by length: nearly no padding, and still well mixed.
_BATCHES_SORTED_TOGETHER = 50


@dataclass(frozen=True)
class Epoch:
    """`number` counts from 1; `seconds` since the training began."""

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True, eq=False)
class FineTuned:
    """The weights of the `best` epoch, in memory and on the CPU."""

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_tokens: int
    epochs: tuple[Epoch, ...]
    best: Epoch
    seconds: float

    def logits(self, texts: Sequence[str]) -> Logits:
        """(n, labels) float32, by PyTorch."""
        tokens = Tokens(as_fast(self.tokenizer, self.max_tokens), self.max_tokens)
        return logits_of(self.model, tokens, texts)


def finetune(
    source: Path,
    examples: Sequence[Example],
    validation: Sequence[Example],
    *,
    epochs: int = EPOCHS,
    batch: int = BATCH,
    learning_rate: float = LEARNING_RATE,
    max_tokens: int = MAX_TOKENS,
    label_smoothing: float = LABEL_SMOOTHING,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FineTuned:
    """Train on `examples`, and keep the epoch that answers `validation` best.

    `source` is a Hugging Face folder with or without a head. `on_progress` is told the batches
    that are done and all there are. The same seed gives the same weights on the same machine.
    Raises `InvalidInput` (examples that cannot be learnt from), `ModelMissing`, `ModelCorrupt`,
    `ModelError` (training diverged) or `NotInstalled`.
    """
    if epochs < 1 or batch < 1:
        raise InvalidInput(f"epochs is {epochs} and batch {batch}; both begin at 1.")
    labels = _labels_of(examples, validation)
    torch = require_torch()
    tokenizer = open_tokenizer(source)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, new = open_for_training(source, labels)
        length = max_tokens_of(model, tokenizer, max_tokens)
        tokens = Tokens(as_fast(tokenizer, length), length)
        plan = _Plan(epochs, batch, learning_rate, label_smoothing)
        training = _Training(
            model,
            new,
            plan,
            _encoded(examples, labels, tokens),
            tokens,
            np.random.default_rng(seed),
        )
        checked = _encoded(validation, labels, tokens)
        found = training.run(
            checked, on_progress or (lambda *_: None), on_epoch or (lambda _: None)
        )
    tokenizer.model_max_length = length
    best = max(found, key=_goodness)
    return FineTuned(model, tokenizer, labels, length, found, best, found[-1].seconds)


def save(tuned: FineTuned, folder: Path) -> None:
    """Write a Hugging Face folder (safetensors) that `export` takes: whole or not at all."""
    with written_whole(folder, CONFIG) as made:
        tuned.model.save_pretrained(str(made))
        tuned.tokenizer.save_pretrained(str(made))


@dataclass(frozen=True)
class _Plan:
    epochs: int
    batch: int
    learning_rate: float
    label_smoothing: float


@dataclass(frozen=True, eq=False)
class _Encoded:
    """Token ids of each text, and its label's number."""

    rows: list[list[int]]
    labels: list[int]


class _Training:
    """One training of one model, which it changes."""

    def __init__(
        self,
        model: Any,
        new: frozenset[str],
        plan: _Plan,
        examples: _Encoded,
        tokens: Tokens,
        rng: np.random.Generator,
    ) -> None:
        self._torch = require_torch()
        self._device = self._torch.device("cuda" if self._torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device)
        self._plan = plan
        self._examples = examples
        self._tokens = tokens
        self._rng = rng
        self._steps = plan.epochs * math.ceil(len(examples.rows) / plan.batch)
        self._done = 0
        self._optimiser = self._make_optimiser(new)
        self._schedule = self._torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: _rate(step, self._steps)
        )
        self._half = _has_fast_bfloat16(self._torch, self._device.type)

    def run(
        self,
        validation: _Encoded,
        on_progress: Callable[[int, int], None],
        on_epoch: Callable[[Epoch], None],
    ) -> tuple[Epoch, ...]:
        """Train all epochs and leave the best one's weights in the model, on the CPU."""
        start, found, best = time.perf_counter(), [], {}
        for number in range(1, self._plan.epochs + 1):
            train_loss = self._train_epoch(on_progress)
            loss, accuracy = self._validate(validation)
            seconds = time.perf_counter() - start
            found.append(Epoch(number, train_loss, loss, accuracy, seconds))
            if max(found, key=_goodness) is found[-1]:
                state = self._model.state_dict()
                best = {name: value.to("cpu", copy=True) for name, value in state.items()}
            on_epoch(found[-1])
        self._model.cpu().eval()
        self._model.load_state_dict(best)
        return tuple(found)

    def _train_epoch(self, on_progress: Callable[[int, int], None]) -> float:
        self._model.train()
        total = 0.0
        for rows in self._batches():
            total += self._step(rows) * len(rows)
            self._done += 1
            on_progress(self._done, self._steps)
        return total / len(self._examples.rows)

    def _step(self, rows: Sequence[int]) -> float:
        loss = self._loss(self._examples, rows, self._plan.label_smoothing)[0]
        self._optimiser.zero_grad()
        loss.backward()
        self._torch.nn.utils.clip_grad_norm_(self._model.parameters(), _MAX_GRADIENT_NORM)
        self._optimiser.step()
        self._schedule.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ModelError(
                f"Training diverged at batch {self._done + 1} of {self._steps}. "
                f"Take a lower learning rate than {self._plan.learning_rate:g}."
            )
        return value

    def _validate(self, validation: _Encoded) -> tuple[float, float]:
        """Mean loss and accuracy, in float32 whatever the training ran in."""
        self._model.eval()
        loss, right = 0.0, 0
        with self._torch.inference_mode():
            for rows in runs_by_length(validation.rows, self._plan.batch):
                mean, predicted = self._loss(validation, rows, 0.0)
                loss += float(mean) * len(rows)
                wanted = [validation.labels[row] for row in rows]
                right += sum(p == w for p, w in zip(predicted, wanted, strict=True))
        return loss / len(validation.rows), right / len(validation.rows)

    def _loss(
        self, examples: _Encoded, rows: Sequence[int], smoothing: float
    ) -> tuple[Any, list[int]]:
        """The mean loss of the rows, as a tensor, and the numbers of the labels predicted."""
        torch = self._torch
        ids, mask = self._tokens.padded([examples.rows[row] for row in rows])
        wanted = np.array([examples.labels[row] for row in rows], np.int64)
        inputs, seen, target = (torch.from_numpy(p).to(self._device) for p in (ids, mask, wanted))
        half = self._half and self._model.training
        with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
            logits = self._model(input_ids=inputs, attention_mask=seen).logits
        loss = torch.nn.functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)
        return loss, logits.detach().argmax(1).tolist()

    def _batches(self) -> list[list[int]]:
        """Every example once, in batches of like length, in an order that differs each time."""
        rows, size = self._rng.permutation(len(self._examples.rows)), self._plan.batch
        batches = [
            [int(pool[i]) for i in picked]
            for pool in _slices(rows, size * _BATCHES_SORTED_TOGETHER)
            for picked in runs_by_length([self._examples.rows[row] for row in pool], size)
        ]
        return [batches[number] for number in self._rng.permutation(len(batches))]

    def _make_optimiser(self, new: frozenset[str]) -> Any:
        encoder: list[Any] = []
        head: list[Any] = []
        for name, parameter in self._model.named_parameters():
            # The pooler stands before the head. Sentence encoders are published with one that
            # their own training passed by; trained as slowly as the encoder it costs two epochs.
            (head if name in new or "pooler" in name else encoder).append(parameter)
        rate = self._plan.learning_rate
        return self._torch.optim.AdamW(
            [
                {"params": encoder, "lr": rate},
                {"params": head, "lr": rate * HEAD_LEARNING_RATE_FACTOR},
            ],
            weight_decay=_WEIGHT_DECAY,
            fused=True,
        )


def _labels_of(examples: Sequence[Example], validation: Sequence[Example]) -> tuple[str, ...]:
    """The labels in order. Raises `InvalidInput` where there is nothing to learn or to check."""
    labels = tuple(sorted({label for _, label in examples}))
    if len(labels) < 2:
        raise InvalidInput(
            f"The examples have {len(labels)} label(s); a classifier needs two or more."
        )
    if not validation:
        raise InvalidInput(
            "There are no examples to validate on; keep some apart to choose the best epoch by."
        )
    if unknown := sorted({label for _, label in validation} - set(labels)):
        raise InvalidInput(
            f"The validation has labels that no example has: {', '.join(unknown[:5])}"
            f"{' and more' if len(unknown) > 5 else ''}. Add examples of them, or take them out."
        )
    return labels


def _encoded(examples: Sequence[Example], labels: Sequence[str], tokens: Tokens) -> _Encoded:
    numbers = {label: number for number, label in enumerate(labels)}
    return _Encoded(
        [tokens.ids(text) for text, _ in examples], [numbers[label] for _, label in examples]
    )


def _rate(step: int, steps: int) -> float:
    """Up in a straight line over the first tenth of the steps, then down to nothing."""
    warm_up = max(1, int(steps * _WARM_UP_SHARE))
    return min((step + 1) / warm_up, (steps - step) / max(1, steps - warm_up))


def _goodness(epoch: Epoch) -> tuple[float, float]:
    return epoch.validation_accuracy, -epoch.validation_loss


def _has_fast_bfloat16(torch: Any, device: str) -> bool:
    """Where it doubles the speed. A processor without AMX emulates it, slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16", False))


def _slices(rows: Sequence[int] | np.ndarray[Any, Any], size: int) -> Iterator[Any]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
