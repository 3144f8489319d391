"""What one worker process holds: the classifier with its models, and the engine that runs it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import cv2
from fastapi import Depends, Request

from emotion import Classifier
from emotion.assets import DetectorFiles, find_detector_files
from emotion.decode import DecodeLimits
from emotion.errors import ArtifactUnavailableError
from emotion.records import ArtifactRecord
from emotion.remote.cache import followed
from emotion.remote.store import is_url
from emotion.results import Prediction
from emotion.store import ModelStore
from service.allocator import give_back_large_blocks
from service.engine import Check, Engine, Slots, Timing
from service.metrics import Metrics
from service.reload import CurrentStore
from service.settings import Settings
from service.shadow import Answered, Shadow

T = TypeVar("T")


class Runtime:
    """Built once per process, before it takes requests."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Open the store and the detector, and preload artifacts.

        Raises:
            StoreError, DetectorMissingError: the service cannot start; so it is with the errors of
            a detector that the settings name. One artifact that cannot be loaded is logged and
            reported by ``/readyz``; the others serve.
        """
        cv2.setNumThreads(1)  # the engine already runs a request on every core
        give_back_large_blocks()
        self.settings = settings
        self.metrics = metrics
        self.engine = Engine(
            settings.threads, settings.max_waiting, settings.deadline_seconds, metrics.admitted
        )
        self.uploads = Slots(settings.max_uploads, metrics.uploading)
        self.current = CurrentStore(
            followed(settings.store, settings.channel, settings.cache_dir),
            self._open,
            lambda store: to_preload(store, settings.preload),
            metrics,
        )

        self.shadow = Shadow.of(settings, self.classifier.store, self.engine, metrics.shadow)

    @property
    def classifier(self) -> Classifier:
        """The current one: take it once for a request, for another may follow at any moment."""
        return self.current.classifier

    def close(self) -> None:
        """Finish what is running, drop what waits."""
        self.engine.close()
        if self.shadow:
            self.shadow.close()

    async def answered(self, prediction: Prediction, timing: Timing) -> None:
        """Count an answer, and show it to the shadow; a background task that takes no thread."""
        self.metrics.prediction(prediction, timing)
        await self.offer([Answered.of(prediction)])

    async def offer(self, answers: Sequence[Answered]) -> None:
        """Show them to the shadow, where there is one; a background task that takes no thread."""
        if self.shadow:
            self.shadow.offer(answers, self.classifier.store)

    async def compute(
        self,
        work: Callable[[Classifier, Check], T],
        gone: Callable[[], Awaitable[object]] | None = None,
    ) -> tuple[T, Timing]:
        """Run ``work`` on the current classifier in a thread; see Engine.run."""
        return await self.engine.run(lambda check: self._on_current(work, check), gone)

    def _on_current(self, work: Callable[[Classifier, Check], T], check: Check) -> T:
        classifier = self.classifier
        try:
            return work(classifier, check)
        except ArtifactUnavailableError:
            # A newer store may have replaced the file before it was loaded; not where stores are
            # fetched from a URL, for there none deletes what another may read.
            if self.settings.reload_seconds and not is_url(self.settings.store):
                self.current.check()
            if self.classifier is classifier:
                raise
            return work(self.classifier, check)

    def _open(self, store: ModelStore, before: Classifier | None) -> Classifier:
        return Classifier(
            store,
            detector=self.settings.detector,
            detector_files=finder_of(self.settings),
            limits=DecodeLimits(
                max_pixels=self.settings.max_pixels, max_faces=self.settings.max_faces
            ),
            interpreters=self.settings.threads,
            spare_bytes=self.settings.spare_bytes,
            before=before,
            # with one thread, which asks, none is ever free
            has_free_core=(lambda: self.engine.has_free_core)
            if self.settings.threads > 1
            else None,
        )


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


async def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
