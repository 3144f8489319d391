"""Shows a second artifact some of the faces that the first has answered, and counts what differs.

Nobody waits for it: it runs after the answer was sent, in one thread of the lowest priority, with
an interpreter of its own, and only where a thread is free; else the comparison is dropped.
"""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import structlog

from emotion.errors import EmotionError, UnknownArtifactError
from emotion.preprocess import face_tensor
from emotion.records import ArtifactRecord
from emotion.registry import LoadedArtifact, Registry
from emotion.results import FacePrediction, Prediction
from emotion.store import ModelStore
from service.engine import Engine
from service.settings import Settings
from service.shadow_metrics import ShadowMetrics

_log = structlog.get_logger()


def shadow_pair(
    settings: Settings, store: ModelStore
) -> tuple[ArtifactRecord, ArtifactRecord] | None:
    """Return the primary and its shadow, where the settings name one.

    Raises:
        UnknownArtifactError: the store lacks one of them, or they are the same.
    """
    if settings.shadow is None:
        return None
    name = settings.shadow_of or f"{settings.shadow.partition('/')[0]}/float32"
    if name == settings.shadow:
        raise UnknownArtifactError(
            f"EMOTION_SHADOW={name} would be compared with itself: name another in "
            "EMOTION_SHADOW_OF."
        )
    primary, shadow = (store.record(*n.split("/")) for n in (name, settings.shadow))
    return primary, shadow


class Shadow:
    """Compares; holds neither pictures nor answers longer than one comparison takes."""

    def __init__(
        self,
        primary: ArtifactRecord,
        shadow: ArtifactRecord,
        share: float,
        engine: Engine,
        metrics: ShadowMetrics,
    ) -> None:
        """Load nothing yet: the shadow is loaded for its first comparison."""
        self._primary = primary.name
        self._shadow = (shadow.model, shadow.precision)
        self._share = share
        self._engine = engine
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "shadow", initializer=_lower_priority)
        self._comparing = threading.Lock()
        self._registry: Registry | None = None
        self._failure = ""

    @classmethod
    def of(
        cls, settings: Settings, store: ModelStore, engine: Engine, metrics: ShadowMetrics
    ) -> "Shadow | None":
        """Return what the settings ask for; raises UnknownArtifactError as ``shadow_pair`` does."""
        pair = shadow_pair(settings, store)
        return cls(*pair, settings.shadow_share, engine, metrics) if pair else None

    async def offer(self, prediction: Prediction, store: ModelStore) -> None:
        """Compare with an answer that was sent, in a share of the cases; returns at once.

        Args:
            prediction: the answer, of any artifact.
            store: where the shadow is taken from.
        """
        if prediction.artifact.name != self._primary or random.random() >= self._share:  # noqa: S311
            return
        if not self._engine.has_free_thread or not self._comparing.acquire(blocking=False):
            self._metrics.dropped("busy")
            return
        self._thread.submit(self._compare, prediction, store)

    def close(self) -> None:
        """Finish the comparison under way."""
        self._thread.shutdown()

    def _compare(self, prediction: Prediction, store: ModelStore) -> None:
        try:
            shadow = self._loaded(store)
            size = shadow.record.input_size
            rows = shadow.run(np.stack([face_tensor(p, size) for p in prediction.image.pixels]))
        except EmotionError as error:
            self._metrics.dropped("failed")
            if str(error) != self._failure:
                self._failure = str(error)
                _log.error("shadow failed", reason=self._failure)
            return
        finally:
            self._comparing.release()
        faces = []
        for answer, row in zip(prediction.faces, rows, strict=True):
            said = FacePrediction(answer.face, row)
            difference = float(np.abs(answer.probabilities - row).mean())
            faces.append((answer.emotion, said.emotion, difference))
        self._metrics.compared(versioned(prediction.artifact), versioned(shadow.record), faces)

    def _loaded(self, store: ModelStore) -> LoadedArtifact:
        if self._registry is None or self._registry.store is not store:
            self._registry = Registry(store, before=self._registry)
        return self._registry.get(*self._shadow)


def versioned(record: ArtifactRecord) -> str:
    """Name an artifact with its version."""
    return f"{record.name}@{record.version}"


def _lower_priority() -> None:
    """Let every other thread go first, where the system tells threads apart (Linux)."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
