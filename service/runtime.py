"""What one worker process holds: the classifier with its models, and the engine that runs it."""

from collections.abc import Callable, Sequence
from typing import Annotated

import cv2
import structlog
from fastapi import Depends, Request

from emotion import Classifier
from emotion.assets import DetectorFiles, find_detector_files
from emotion.decode import DecodeLimits
from emotion.errors import ArtifactUnavailableError
from emotion.records import ArtifactRecord
from emotion.store import ModelStore
from service.engine import Engine
from service.metrics import Metrics
from service.settings import Settings

_log = structlog.get_logger()


class Runtime:
    """Built once per process, before it takes requests."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Open the store and the detector, and preload artifacts.

        Raises:
            StoreError, DetectorMissingError: the service cannot start; so it is with the errors of
            a detector that the settings name. One artifact that cannot be loaded is logged and
            reported by ``/readyz``; the others serve.
        """
        cv2.setNumThreads(1)  # the engine already runs one request per core
        self.settings = settings
        self.metrics = metrics
        self.engine = Engine(
            settings.threads, settings.max_waiting, settings.deadline_seconds, metrics.admitted
        )
        self.classifier = Classifier(
            ModelStore(settings.store),
            detector=settings.detector,
            detector_files=finder_of(settings),
            limits=DecodeLimits(max_pixels=settings.max_pixels),
            interpreters=settings.threads,
        )
        for record in to_preload(self.classifier.store, settings.preload):
            self._preload(record)

    def _preload(self, record: ArtifactRecord) -> None:
        try:
            self.classifier.registry.get(record.model, record.precision).fill()
        except ArtifactUnavailableError as error:
            _log.error("artifact unavailable", artifact=record.name, reason=str(error))
        else:
            self.metrics.loaded(record)
            _log.info("artifact loaded", artifact=record.name, version=record.version)


def finder_of(settings: Settings) -> Callable[[], DetectorFiles]:
    """Return what finds the Caffe network where the settings say; most processes never call it."""
    return lambda: find_detector_files(settings.detector_dir, settings.data_dir)


def to_preload(store: ModelStore, names: Sequence[str]) -> list[ArtifactRecord]:
    """Look up the setting ``preload``: ``all``, ``none``, or names such as ``mobilenet/int8``.

    Raises:
        UnknownArtifactError: the store has no artifact of a name.
    """
    if tuple(names) == ("none",):
        return []
    if tuple(names) == ("all",):
        return list(store.records)
    pairs = [name.partition("/") for name in names]
    return [store.record(model, precision) for model, _, precision in pairs]


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
