"""The semantic heads of a data folder: every training adds one, and the newest is in use.

    moderation/heads/<version>.npz      on the sentence vector, or
    moderation/heads/<version>.bert/    a BERT

Without any, the head that comes with kefu is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources.abc import Traversable
from pathlib import Path

import structlog

from kefu.errors import KefuError, ModelError
from kefu.moderation.head_file import SUFFIX, HeadAbout, load_head, shipped_head
from kefu.moderation.semantic import Head

log = structlog.get_logger("kefu.moderation")

KEPT = 10
BERT_SUFFIX = ".bert"
SHIPPED = "kefu"


class Heads:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "heads"

    def newest_first(self) -> list[Path | Traversable]:
        """That of kefu last."""
        return [*self._own(), shipped_head()]

    def add(self, write: Callable[[Path], None], suffix: str = SUFFIX) -> str:
        """Have a head written, to be used from now on; its version. Old ones are pruned."""
        version = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"  # sorts by age
        write(self._folder / f"{version}{suffix}")
        for old in self._own()[KEPT:]:
            _remove(old)
        return version

    def _own(self) -> list[Path]:
        """Drafts begin with a dot."""
        named = (
            path for suffix in (SUFFIX, BERT_SUFFIX) for path in self._folder.glob(f"*{suffix}")
        )
        found = (path for path in named if path.name[0] != ".")
        return sorted(found, key=lambda path: path.name, reverse=True)


class HeadInUse:
    """Reading is safe from any thread; `take_over` is for one thread at a time and blocks.

    A head that cannot be used is refused, the one in use stays, and `problem` says why.
    """

    def __init__(self, heads: Heads, encoder_id: str) -> None:
        self._heads = heads
        self._encoder_id = encoder_id
        self._seen: tuple[Path | Traversable, int] | None = None
        self.head: Head | None = None
        self.about: HeadAbout | None = None
        self.version = ""
        self.problem = ""

    def take_over(self) -> None:
        """Use the newest head; at the start the next older one where that is damaged."""
        heads = self._heads.newest_first()
        seen = heads[0], _changed_at(heads[0])
        if seen == self._seen:
            return
        self._seen, self.problem = seen, ""
        for path in heads if self.head is None else heads[:1]:
            if self._use(path):
                return

    def _use(self, path: Path | Traversable) -> bool:
        try:
            head, about = load(path)
            require_encoder(head, self._encoder_id)
        except KefuError as error:
            self.problem = self.problem or str(error)
            log.error("moderation_head_refused", reason=str(error), serving=self.version or None)
            return False
        is_own = isinstance(path, Path) and path.parent.name == "heads"
        self.head, self.about = head, about
        self.version = path.name.rpartition(".")[0] if is_own else SHIPPED
        log.info("moderation_head_in_use", version=self.version)
        return True


def load(path: Path | Traversable) -> tuple[Head, HeadAbout]:
    """A head of either kind. Raises `ModelMissing`, `ModelCorrupt` or `NotInstalled`."""
    if isinstance(path, Path) and path.is_dir():
        from kefu.moderation.bert_head import load_bert  # noqa: PLC0415 - ONNX Runtime: commands that list words would wait

        return load_bert(path)
    return load_head(path)


def require_encoder(head: Head, encoder_id: str) -> None:
    """Vectors of another encoder mean nothing to a head. Raises `ModelError`."""
    if head.encoder_id not in (None, encoder_id):
        raise ModelError(
            f"The semantic head was trained with the sentence encoder {head.encoder_id}, and this "
            f"is {encoder_id}. Train one with `kefu moderation train --fresh`."
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _changed_at(path: Path | Traversable) -> int:
    """Of a head of one's own, which may be mended; kefu's never changes."""
    try:
        return path.stat().st_mtime_ns if isinstance(path, Path) else 0
    except OSError:
        return 0
