"""Teaches the embedded generator to answer from passages: a LoRA adapter, as a GGUF file.

    python training/generator/train.py --model DATA_DIR/models/gemma-3-270m-kefu

Two to three hours on two cores with AMX. Stopped and started again it goes on where it was; the same seed on the
same machine gives the same adapter.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from examples import Context, contexts
from lora import add_adapters, parameters, write_gguf
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from kefu.turn.prompt import TrainedPassage, trained_answer, trained_context, trained_question

OUTPUT = Path(__file__).parents[2] / "src" / "kefu" / "inference" / "models" / "adapters"
# A context has the token that begins a text, what follows has not.
PLAIN = {"add_special_tokens": False}
CHECKPOINTS = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class Plan:
    """What makes an adapter. `batch_tokens` of one step, prompts and answers together."""

    epochs: int = 3
    batch_tokens: int = 4096
    rank: int = 24
    alpha: float = 48.0
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """Token ids of a context, which is read once, and of the questions about it with their answers.

    `branches` are (ids, where the answer begins). Each is read as if it followed the context alone.
    """

    context: tuple[int, ...]
    branches: tuple[tuple[tuple[int, ...], int], ...]

    def __len__(self) -> int:
        return len(self.context) + sum(len(ids) for ids, _ in self.branches)


def main() -> None:
    options, plan = _options()
    torch.manual_seed(plan.seed)
    model, tokenizer = open_model(options.model)
    adapters = add_adapters(model, plan.rank, plan.alpha, plan.seed)
    for layer in model.model.layers:
        layer.compile(dynamic=True)  # half the time goes into passes over memory that fuse
    # Here and not where it is defined: PyTorch looks for a C++ compiler and warns on import.
    loss_of = torch.compile(_loss, dynamic=True)
    steps = [
        batch
        for epoch in range(plan.epochs)
        for batch in batches(
            [row_of(context, tokenizer) for context in contexts(plan.seed + epoch)],
            plan.batch_tokens,
            plan.seed + epoch,
        )
    ]
    trained = list(parameters(adapters))
    optimizer = torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=0.0)
    state = _State(options.checkpoints / "state.pt", plan, optimizer, trained)
    begun = state.load()
    model.train()
    seconds, done_tokens = time.monotonic(), 0
    for number in range(begun, len(steps)):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * share_of_rate(number, len(steps), plan.warm_up)
        loss = _step(model, steps[number], optimizer, trained, loss_of)
        done_tokens += sum(map(len, steps[number]))
        if number % 10 == 9 or number + 1 == len(steps):
            speed = done_tokens / (time.monotonic() - seconds)
            left = sum(len(row) for step in steps[number + 1 :] for row in step) / speed
            print(
                f"step {number + 1:,} of {len(steps):,}  loss {loss:.3f}  {speed:.0f} tokens/s  "
                f"{left / 60:.0f} min left",
                flush=True,
            )
        if number % options.save_every == options.save_every - 1:
            state.save(number + 1)
    state.save(len(steps))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(
        adapters,
        options.output,
        plan.alpha,
        {"general.name": "kefu", "kefu.plan": json.dumps(asdict(plan))},
    )
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")


def open_model(folder: Path) -> tuple[Any, Any]:
    """The weights that llama.cpp reads, in bfloat16: twice as fast as float32 with AMX."""
    (file,) = folder.glob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=file.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
        attn_implementation="sdpa",
    )
    return model, tokenizer


def row_of(context: Context, tokenizer: Any) -> Row:
    passages = [TrainedPassage(p.title, p.text) for p in context.passages]
    opening = trained_context(context.language, context.rounds, passages)
    branches = []
    for asked in context.asked:
        question = tokenizer(trained_question(context.language, asked.question), **PLAIN)[
            "input_ids"
        ]
        answer = tokenizer(trained_answer(context.language, asked.answer), **PLAIN)["input_ids"]
        branches.append(((*question, *answer), len(question)))
    return Row(tuple(tokenizer(opening)["input_ids"]), tuple(branches))


def batches(rows: Sequence[Row], tokens: int, seed: int) -> Iterator[list[Row]]:
    """Rows of nearly the same length together, batches in random order."""
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    found, batch = [], []
    for number in order:
        if batch and len(rows[number]) * (len(batch) + 1) > tokens:
            found.append(batch)
            batch = []
        batch.append(rows[number])
    found.append(batch)
    yield from (found[n] for n in np.random.default_rng(seed).permutation(len(found)))


@dataclass(frozen=True)
class Tensors:
    """A batch. `group` is 0 for padding, 1 for the context, 2 and more for its questions."""

    ids: torch.Tensor
    places: torch.Tensor
    group: torch.Tensor
    answers: torch.Tensor  # (n, 4): row, place of the token before, token id, length of its answer

    def mask(self, window: int | None) -> torch.Tensor:
        """(rows, 1, length, length): what each token sees. The context and its own question."""
        rows, columns = self.group[:, :, None], self.group[:, None, :]
        order = torch.arange(self.ids.shape[1])
        sees = (columns == rows) | (columns == 1)
        sees &= order[:, None] >= order[None, :]
        if window is not None:
            sees &= self.places[:, :, None] - self.places[:, None, :] < window
        return sees[:, None]


def tensors(rows: Sequence[Row]) -> Tensors:
    shape = len(rows), max(map(len, rows))
    ids, places, group = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    answers = []
    for number, row in enumerate(rows):
        at = len(row.context)
        ids[number, :at] = torch.tensor(row.context)
        places[number, :at] = torch.arange(at)
        group[number, :at] = 1
        for branch, (tokens, begin) in enumerate(row.branches, 2):
            end = at + len(tokens)
            ids[number, at:end] = torch.tensor(tokens)
            places[number, at:end] = torch.arange(len(row.context), len(row.context) + len(tokens))
            group[number, at:end] = branch
            length = len(tokens) - begin
            answers += [(number, at + k - 1, tokens[k], length) for k in range(begin, len(tokens))]
            at = end
    return Tensors(ids, places, group, torch.tensor(answers))


def _step(
    model: Any, rows: Sequence[Row], optimizer: Any, trained: Sequence[Any], loss_of: Any
) -> float:
    batch = tensors(rows)
    masks = {
        "full_attention": batch.mask(None),
        "sliding_attention": batch.mask(model.config.sliding_window),
    }
    states = model.model(
        input_ids=batch.ids, position_ids=batch.places, attention_mask=masks, use_cache=False
    ).last_hidden_state
    which, before, wanted, lengths = batch.answers.unbind(1)
    # Only where an answer is written: the output layer is a third of the work.
    loss = loss_of(states[which, before], model.lm_head.weight, wanted, lengths)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    return float(loss.detach())


def _loss(
    states: torch.Tensor, output: torch.Tensor, wanted: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Between "every token counts alike" and "every answer does": a refusal says as much as a list."""
    logits = torch.nn.functional.linear(states, output).float()
    weights = lengths.float().rsqrt()
    losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
    return (losses * weights).sum() / weights.sum()


def share_of_rate(number: int, steps: int, warm_up: float) -> float:
    """Of the learning rate: up in a line, down in a half cosine."""
    first = max(1, round(steps * warm_up))
    if number < first:
        return (number + 1) / first
    return 0.5 * (1 + math.cos(math.pi * (number - first) / max(1, steps - first)))


class _State:
    """What is needed to go on, in one file that is replaced whole."""

    def __init__(self, path: Path, plan: Plan, optimizer: Any, trained: Sequence[Any]) -> None:
        self._path, self._plan = path, asdict(plan)
        self._optimizer, self._trained = optimizer, trained

    def load(self) -> int:
        """How many steps are done."""
        if not self._path.is_file():
            return 0
        found = torch.load(self._path, weights_only=True)
        if found["plan"] != self._plan:
            raise SystemExit(f"{self._path} is of another plan. Remove it to begin anew.")
        for parameter, value in zip(self._trained, found["values"], strict=True):
            parameter.data.copy_(value)
        self._optimizer.load_state_dict(found["optimizer"])
        print(f"going on after step {found['step']:,}")
        return int(found["step"])

    def save(self, step: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        values = [parameter.detach() for parameter in self._trained]
        torch.save(
            {
                "plan": self._plan,
                "step": step,
                "values": values,
                "optimizer": self._optimizer.state_dict(),
            },
            draft,
        )
        draft.replace(self._path)


def _options() -> tuple[argparse.Namespace, Plan]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the pruned GGUF")
    parser.add_argument("--output", type=Path, default=OUTPUT / "gemma-3-270m-desk.gguf")
    parser.add_argument(
        "--checkpoints", type=Path, default=CHECKPOINTS, help="where to keep what is half done"
    )
    parser.add_argument("--save-every", type=int, default=50, help="steps between two saves")
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args()
    return options, Plan(**{name: getattr(options, name) for name in asdict(Plan())})


if __name__ == "__main__":
    main()
