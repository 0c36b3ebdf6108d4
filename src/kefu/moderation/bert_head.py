"""Meanings by a fine-tuned BERT: trained with `kefu[train]`, served by ONNX Runtime.

A folder with `head.json` (what is known of it, and what its margins deserve) and `bert/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from kefu import __version__
from kefu.bert.session import BertSession, Logits
from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.encoder.compared import Compared
from kefu.learning.figures import Floats, sigmoid
from kefu.moderation.categories import Category
from kefu.moderation.head_file import HeadAbout
from kefu.moderation.policy import Thresholds
from kefu.moderation.semantic import by_category

FORMAT = 1
ABOUT = "head.json"
BERT_FOLDER = "bert"

INNOCENT = "innocent"
"""The label of texts that are of no category."""


@dataclass(frozen=True)
class BertAbout(HeadAbout):
    """With the `slope` and `offset` of each category, which make a margin a probability."""

    slope: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()


_ABOUT_TYPE = TypeAdapter(BertAbout)


@dataclass(frozen=True, eq=False)
class BertHead:
    """Reads the text itself: a pass of its own, some milliseconds a message."""

    session: BertSession
    categories: tuple[Category, ...]
    thresholds: Mapping[Category, Thresholds]
    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    encoder_id: str | None = None
    landmarks: None = None

    def scores(self, text: str, vector: NDArray[np.float32]) -> dict[Category, float]:
        """As of `Head`. The `vector` has no say."""
        return self.scores_of_all([text], [Compared(vector)])[0]

    def scores_of_all(
        self, texts: Sequence[str], vectors: Sequence[Compared]
    ) -> list[dict[Category, float]]:
        """As of `Head`. The `vectors` have no say."""
        margins = margins_of(self.session.logits(texts), self.session.labels, self.categories)
        probabilities = sigmoid(self.slope * margins + self.offset)
        return [by_category(self.categories, row) for row in probabilities]


def margins_of(logits: Logits, labels: tuple[str, ...], categories: tuple[Category, ...]) -> Floats:
    """(n, categories): by how much each category is likelier than an innocent text."""
    columns = [labels.index(category) for category in categories]
    innocent = logits[:, [labels.index(INNOCENT)]]
    return np.asarray(logits[:, columns] - innocent, np.float64)


def save_about(about: BertAbout, folder: Path) -> None:
    text = json.dumps({"format": FORMAT, **asdict(about)}, ensure_ascii=False, indent=1)
    (folder / ABOUT).write_text(text, "utf-8")


def load_bert(folder: Path, threads: int = 1) -> tuple[BertHead, BertAbout]:
    """Raises `ModelMissing`, `ModelCorrupt`, or `NotInstalled` where `kefu[bert]` is missing."""
    about = _read_about(folder)
    session = BertSession(folder / BERT_FOLDER, threads)
    lengths = {len(about.slope), len(about.offset), len(about.categories)}
    if set(session.labels) != {INNOCENT, *about.categories} or len(lengths) != 1:
        raise _corrupt(folder, f"its labels are {', '.join(session.labels)}")
    head = BertHead(
        session, about.categories, about.thresholds, np.array(about.slope), np.array(about.offset)
    )
    return head, about


def _read_about(folder: Path) -> BertAbout:
    try:
        data = json.loads((folder / ABOUT).read_text("utf-8"))
        found = data.pop("format")
    except FileNotFoundError as error:
        raise ModelMissing(
            f"{folder} is no semantic head: it has no {ABOUT}. Train one with `kefu moderation train`."
        ) from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _corrupt(folder, f"{ABOUT} cannot be read ({error})") from error
    if found != FORMAT:
        raise ModelCorrupt(
            f"{folder} was written by kefu {data.get('kefu')} in format {found}; this kefu "
            f"({__version__}) reads format {FORMAT}. Train it again with `kefu moderation train`."
        )
    try:
        return _ABOUT_TYPE.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _corrupt(folder, f"{ABOUT}: {where}: {first['msg']}") from error


def _corrupt(folder: Path, reason: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The semantic head {folder} is damaged: {reason}. Train it again with `kefu moderation "
        "train --finetune`."
    )
