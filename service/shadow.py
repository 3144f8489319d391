"""Shows a second artifact some of the faces that the first has answered, and counts what differs.

Nobody waits for it: it runs after the answer was sent, in one thread of the lowest priority, with
an interpreter of its own, and only where a thread is free; else the comparison is dropped.
"""

import os
import random
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import structlog

from emotion.arrays import Pixels, Probabilities
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


@dataclass(frozen=True)
class Answered:
    """What an artifact has said of one picture: one row of probabilities for each face.

    ``faces`` are uint8: [128, 128], grey and equalised, or ready tensors [size, size, 3].
    """

    artifact: ArtifactRecord
    faces: Sequence[Pixels]
    probabilities: Sequence[Probabilities]

    @classmethod
    def of(cls, prediction: Prediction) -> "Answered":
        """Take over what the library has answered."""
        rows = [face.probabilities for face in prediction.faces]
        return cls(prediction.artifact, prediction.image.pixels, rows)


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
        self._closed = False

    @classmethod
    def of(
        cls, settings: Settings, store: ModelStore, engine: Engine, metrics: ShadowMetrics
    ) -> "Shadow | None":
        """Return what the settings ask for; raises UnknownArtifactError as ``shadow_pair`` does."""
        pair = shadow_pair(settings, store)
        return cls(*pair, settings.shadow_share, engine, metrics) if pair else None

    def offer(self, answers: Sequence[Answered], store: ModelStore) -> None:
        """Compare with answers that were sent, in a share of the cases; returns at once.

        Args:
            answers: those of one request, of any artifact; each picture has its own chance.
            store: where the shadow is taken from.
        """
        chosen = [
            answered
            for answered in answers
            if answered.artifact.name == self._primary and random.random() < self._share  # noqa: S311
        ]
        if not chosen:
            return
        if not self._engine.has_free_core or not self._comparing.acquire(blocking=False):
            self._metrics.dropped("busy", len(chosen))
            return
        self._thread.submit(self._try, chosen, store)

    def close(self) -> None:
        """Finish the comparison of the picture under way."""
        self._closed = True
        self._thread.shutdown()

    def _try(self, answers: Sequence[Answered], store: ModelStore) -> None:
        compared = 0
        try:
            shadow = self._loaded(store)
            for answered in answers:
                if self._closed:
                    break
                self._compare(answered, shadow)
                compared += 1
        except Exception as error:  # nobody else would hear of it
            self._metrics.dropped("failed", len(answers) - compared)
            self._tell(error)
        finally:
            self._comparing.release()

    def _compare(self, answered: Answered, shadow: LoadedArtifact) -> None:
        size = shadow.record.input_size
        tensors = [f if f.ndim == 3 else face_tensor(f, size) for f in answered.faces]
        rows = shadow.run(np.stack(tensors))
        faces = []
        for said, row in zip(answered.probabilities, rows, strict=True):
            one, other = (FacePrediction(None, probabilities) for probabilities in (said, row))
            faces.append((one.emotion, other.emotion, float(np.abs(said - row).mean())))
        self._metrics.compared(versioned(answered.artifact), versioned(shadow.record), faces)

    def _tell(self, error: Exception) -> None:
        """Log a failure once, without what others say of it: that could quote a picture."""
        known = isinstance(error, EmotionError)
        reason = str(error) if known else type(error).__name__
        if reason != self._failure:
            self._failure = reason
            where = [] if known else traceback.format_tb(error.__traceback__)
            _log.error("shadow failed", reason=reason, where="".join(where))

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
