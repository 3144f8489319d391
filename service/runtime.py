"""What one worker process holds: the classifier with its models, and the engine that runs it."""

from typing import Annotated

import cv2
import structlog
from fastapi import Depends, Request

from emotion import Classifier
from emotion.assets import find_detector_files
from emotion.decode import DecodeLimits
from emotion.errors import ArtifactUnavailableError, UnknownArtifactError
from emotion.records import ArtifactRecord
from emotion.store import ModelStore
from service.engine import Engine
from service.settings import Settings

_log = structlog.get_logger()


class Runtime:
    """Built once per process, before it takes requests."""

    def __init__(self, settings: Settings) -> None:
        """Open the store and the detector, and preload artifacts.

        Raises:
            StoreError, DetectorMissingError: the service cannot start; so it is with the errors of
            a detector that the settings name. One artifact that cannot be loaded is logged and
            reported by ``/readyz``; the others serve.
        """
        cv2.setNumThreads(1)  # the engine already runs one request per core
        self.settings = settings
        self.engine = Engine(settings.threads, settings.max_waiting, settings.deadline_seconds)
        self.classifier = Classifier(
            ModelStore(settings.store),
            detector=settings.detector,
            detector_files=lambda: find_detector_files(settings.detector_dir, settings.data_dir),
            limits=DecodeLimits(max_pixels=settings.max_pixels),
            interpreters=settings.threads,
        )
        self.loaded: list[ArtifactRecord] = []
        self.unavailable: dict[str, str] = dict(self.classifier.detectors.unavailable)
        for model, precision in self._to_preload():
            self._preload(model, precision)

    def _to_preload(self) -> list[tuple[str, str]]:
        if self.settings.preload == ("none",):
            return []
        if self.settings.preload == ("all",):
            return [(r.model, r.precision) for r in self.classifier.store.records]
        pairs = [name.partition("/") for name in self.settings.preload]
        return [(model.strip(), precision.strip()) for model, _, precision in pairs]

    def _preload(self, model: str, precision: str) -> None:
        name = f"{model}/{precision}"
        try:
            artifact = self.classifier.registry.get(model, precision)
            artifact.fill()
        except (ArtifactUnavailableError, UnknownArtifactError) as error:
            self.unavailable[name] = str(error)
            _log.error("artifact unavailable", artifact=name, reason=str(error))
        else:
            self.loaded.append(artifact.record)
            _log.info("artifact loaded", artifact=name, version=artifact.record.version)


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
