"""The intents of a running desk: the model in use, taken over while it serves, and the actions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from kefu.errors import KefuError, ModelError, NotFound
from kefu.inference.encoder.compared import Compared, products, vectors_of
from kefu.intent.actions import Action, ActionStore, check
from kefu.intent.classifier import Classifier, Prediction
from kefu.intent.dataset import OUT_OF_SCOPE
from kefu.intent.folder import About
from kefu.intent.loading import load
from kefu.intent.versions import Current, Versions
from kefu.settings import IntentSettings
from kefu.telemetry import Metrics
from kefu.together import Together

log = structlog.get_logger("kefu.intent")

_NO_MODEL = "No intent model is trained yet. Make one with `kefu intent train`."


@dataclass(frozen=True)
class _InUse:
    version: str
    classifier: Classifier
    about: About


class Intents:
    """Opened with `open_intents`. `predict` sees the model of the moment and never waits for a
    newer one to load; a newer one that cannot be loaded is refused and the old one serves on.
    """

    def __init__(
        self,
        versions: Versions,
        actions: ActionStore,
        encoder_id: str,
        settings: IntentSettings,
        metrics: Metrics,
    ) -> None:
        self._versions = versions
        self._store = actions
        self._encoder_id = encoder_id
        self._settings = settings
        self._metrics = metrics
        self._in_use: _InUse | None = None
        self._seen: Current | None = None
        self._actions: Mapping[str, Action] = {}
        self._actions_version = -1
        self._changing = asyncio.Lock()
        self._together = Together(self._classify)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kefu-intent")
        self.problem = ""

    @property
    def versions(self) -> Versions:
        return self._versions

    @property
    def version(self) -> str | None:
        """The model that serves, which is an older one than chosen where that is damaged."""
        return self._in_use.version if self._in_use else None

    @property
    def about(self) -> About | None:
        return self._in_use.about if self._in_use else None

    @property
    def compared_with(self) -> list[NDArray[np.float32]]:
        """What the vector of every message is compared with."""
        vectors = self._in_use.classifier.vectors if self._in_use else None
        return [] if vectors is None else [vectors]

    @property
    def in_use(self) -> object | None:
        """The model of this moment: while it is the same, so are the predictions."""
        return self._in_use

    @property
    def actions(self) -> Mapping[str, Action]:
        return self._actions

    async def predict(self, text: str, vector: Compared) -> Prediction | None:
        """What the customer wants; None where no model is trained, or it fails."""
        try:
            found = await self.classify(text, vector)
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001 - the answer matters more than its label
            log.error("intent_failed", reason=repr(error), version=self.version)
            return None
        return found

    def count(self, prediction: Prediction | None) -> None:
        """Put what a customer wanted into the metrics."""
        if prediction is not None:
            self._metrics.intents.labels(prediction.label).inc()

    async def classify(self, text: str, vector: Compared) -> Prediction:
        """As `predict`, of no customer's message. Raises `NotFound` where no model is trained."""
        if self._in_use is None:
            raise NotFound(_NO_MODEL)
        classifier = self._in_use.classifier
        if classifier.encoder_id is not None:
            return await self._together((text, vector))
        # It reads the text itself: too long a work for the event loop.
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._thread, classifier.classify, [text], None)
        return found[0]

    def _classify(self, asked: Sequence[tuple[str, Compared]]) -> Sequence[Prediction]:
        if self._in_use is None:
            raise NotFound(_NO_MODEL)
        texts, vectors = zip(*asked, strict=True)
        classifier = self._in_use.classifier
        known = None if classifier.vectors is None else products(vectors, classifier.vectors)
        return classifier.classify(texts, vectors_of(vectors), known)

    def action_for(self, prediction: Prediction | None) -> Action | None:
        """What to do at once, where the intent is plain enough for it."""
        if prediction is None or prediction.score < self._settings.action_score:
            return None
        return self._actions.get(prediction.label)

    def is_foreign(self, prediction: Prediction | None) -> bool:
        """Whether the message is plainly none of the desk's business, not a word of a follow-up.

        Of 76 follow-ups in the sample shop's dialogues none is, of 191 out-of-scope messages 150.
        """
        if prediction is None or prediction.score < self._settings.action_score:
            return False
        return prediction.label == OUT_OF_SCOPE and self._was_taught_out_of_scope

    @property
    def _was_taught_out_of_scope(self) -> bool:
        """Without examples of it, it is a guess."""
        return bool(self.about and self.about.figures and self.about.figures.oos_recall is not None)

    async def refresh(self) -> None:
        """Take over what was trained, chosen or configured since, by whatever process."""
        async with self._changing:
            if await asyncio.to_thread(self._store.version) != self._actions_version:
                loaded = await asyncio.to_thread(self._store.load)
                self._actions_version, self._actions = loaded
            await self._take_over()

    async def set_action(self, label: str, action: Action) -> None:
        """Raises `InvalidInput`."""
        check(label, action)
        await asyncio.to_thread(self._store.save, {label: action})
        await self.refresh()

    async def remove_action(self, label: str) -> bool:
        """Whether there was one."""
        removed = await asyncio.to_thread(self._store.remove, label)
        await self.refresh()
        return removed

    async def use(self, version: str) -> None:
        """Serve with `version` from now on. Raises `NotFound` or `ModelError`; then nothing
        has changed.
        """
        async with self._changing:
            found = await asyncio.to_thread(self._load, version)
            await asyncio.to_thread(self._versions.activate, version)
            self._seen = self._versions.current()
            self._adopt(found)

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    async def _take_over(self) -> None:
        try:
            chosen = await asyncio.to_thread(self._versions.current)
        except KefuError as error:
            self._seen = None  # whatever is chosen next is news
            await self._keep_serving(error)
            return
        if chosen is None or chosen == self._seen:
            return
        self._seen = chosen
        if chosen.version == self.version:
            self.problem = ""
            return
        try:
            self._adopt(await asyncio.to_thread(self._load, chosen.version))
        except KefuError as error:
            await self._keep_serving(error)

    async def _keep_serving(self, error: KefuError) -> None:
        """Refuse the chosen model. At the start, the one before it is better than none."""
        if str(error) != self.problem:
            self.problem = str(error)
            log.error("intent_model_refused", reason=str(error), serving=self.version)
        previous = self._seen.previous if self._seen else None
        if self._in_use is None and previous is not None:
            try:
                found = await asyncio.to_thread(self._load, previous)
            except KefuError as second:
                log.error("intent_model_refused", reason=str(second), serving=None)
            else:
                self._in_use = found

    def _load(self, version: str) -> _InUse:
        classifier, about = load(self._versions.folder_of(version))
        require_encoder(classifier, self._encoder_id)
        return _InUse(version, classifier, about)

    def _adopt(self, found: _InUse) -> None:
        self._in_use, self.problem = found, ""
        log.info("intent_model_in_use", version=found.version, labels=len(found.about.labels))


def require_encoder(classifier: Classifier, encoder_id: str) -> None:
    """Vectors of another encoder mean nothing to a model. Raises `ModelError`."""
    if classifier.encoder_id not in (None, encoder_id):
        raise ModelError(
            f"The intent model was trained with the sentence encoder {classifier.encoder_id}, and "
            f"this is {encoder_id}. Train it again with `kefu intent train`."
        )


async def open_intents(
    root: Path, actions: ActionStore, encoder_id: str, settings: IntentSettings, metrics: Metrics
) -> Intents:
    """The intents of a data folder. A model that cannot be loaded is said in the log only."""
    intents = Intents(Versions(root), actions, encoder_id, settings, metrics)
    await intents.refresh()
    return intents
