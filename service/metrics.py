"""Prometheus metrics. Label values come from closed sets, so that no client can add series.

What alerts watch is there from the start, with 0: of a series that begins with its first event,
Prometheus sees no increase.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    multiprocess,
)

from emotion.records import ArtifactRecord
from emotion.results import Comparison, Prediction
from service.connection_metrics import ConnectionMetrics
from service.dead_workers import forget_dead_workers
from service.engine import Timing
from service.series import CachedCounter, CachedHistogram
from service.shadow_metrics import ShadowMetrics

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STAGE_SECONDS = (0.0001, 0.00025, 0.0005, *_SECONDS)  # a crop takes 0.3 ms
_CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)
Reloaded = Literal["switched", "unchanged", "refused"]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "gRPC"})


class Metrics:
    """What one process counts; with several workers, ``text`` adds up all of theirs.

    Several workers share their numbers through files in $PROMETHEUS_MULTIPROC_DIR, which
    ``python -m service`` makes for them.
    """

    def __init__(self, problems: Iterable[str] = ()) -> None:
        """Start at 0; ``problems`` are the names of those that can be foreseen."""
        self._registry = registry = CollectorRegistry()
        self._requests = CachedCounter(
            "emotion_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._artifact_requests = CachedCounter(
            "emotion_artifact_requests",
            "Those of them that asked an artifact of the store, once for each that they asked.",
            ("route", "model", "precision", "status"),
            registry=registry,
        )
        self._request_seconds = CachedHistogram(
            "emotion_request_seconds",
            "From the first byte in to the last byte out.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._problems = Counter(
            "emotion_problems", "Problem documents sent.", ("problem",), registry=registry
        )
        for name in problems:
            self._problems.labels(name)
        self._stage_seconds = CachedHistogram(
            "emotion_stage_seconds",
            "Time of each stage of a prediction.",
            ("stage",),
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._inference_seconds = CachedHistogram(
            "emotion_inference_seconds",
            "Time of a request's faces in one artifact.",
            ("model", "precision"),
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._emotions = CachedCounter(
            "emotion_faces",
            "Faces classified, by the emotion found: watch it for drift.",
            ("model", "precision", "emotion"),
            registry=registry,
        )
        self._admitted = Gauge(
            "emotion_admitted_requests",
            "Requests being computed or waiting for a thread.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "emotion_waiting_requests",
            "Those of them that wait for a thread.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._uploads = Gauge(
            "emotion_uploads",
            "Bodies arriving.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._confidence = CachedHistogram(
            "emotion_confidence",
            "Probability of the emotion found: watch it for drift.",
            ("model", "precision"),
            buckets=_CONFIDENCES,
            registry=registry,
        )
        self._artifacts = Gauge(
            "emotion_artifact_loaded",
            "1 for each artifact in memory; 0, where there are workers, for those that were.",
            ("model", "precision", "version"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._in_memory: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        self._reloads = Counter(
            "emotion_store_reloads",
            "Looks at a store that had changed, by what came of them.",
            ("outcome",),
            registry=registry,
        )
        for outcome in get_args(Reloaded):
            self._reloads.labels(outcome)
        self.shadow = ShadowMetrics(registry)
        self.connections = ConnectionMetrics(registry)
        self._dead_workers = Counter(
            "emotion_workers_killed",
            "Worker processes that ended without saying so; others took their places.",
            registry=registry,
        )
        self._lost_lines = Counter(
            "emotion_log_lines_lost",
            "Log lines that could not be written, to a full disk or to a pipe that nobody reads.",
            registry=registry,
        )
        self._clock_jumps = Counter(
            "emotion_clock_jumps", "Times that a process saw the clock jump.", registry=registry
        )
        self._draining = Gauge(
            "emotion_draining",
            "1 from SIGTERM or SIGINT on.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._store_problems = Gauge(
            "emotion_store_problems",
            "Artifacts that cannot be loaded, or whose file is no longer what memory holds; "
            "remote: 1 where the store's URL gives no newer version.",
            ("problem",),
            registry=registry,
            multiprocess_mode="livemax",
        )

    def request(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        artifacts: Iterable[ArtifactRecord] = (),
    ) -> None:
        """Count an answered request, and which artifacts it asked."""
        self._requests.labels(method if method in _METHODS else "other", route, status).inc()
        self._request_seconds.labels(route).observe(seconds)
        for artifact in artifacts:
            labels = (route, artifact.model, artifact.precision, status)
            self._artifact_requests.labels(*labels).inc()

    def problem(self, name: str) -> None:
        """Count a problem document."""
        self._problems.labels(name).inc()

    def prediction(self, prediction: Prediction, timing: Timing) -> None:
        """Record a /predict."""
        faces = [(face.emotion, face.confidence) for face in prediction.faces]
        self.inferred(prediction.artifact, [prediction.milliseconds], faces, timing)

    def inferred(
        self,
        artifact: ArtifactRecord,
        milliseconds: Sequence[dict[str, float]],
        faces: Iterable[tuple[str, float]],
        timing: Timing,
    ) -> None:
        """Record a request for one artifact.

        Args:
            artifact: that answered.
            milliseconds: per stage, for each picture.
            faces: emotion and confidence of each.
            timing: of the whole request.
        """
        for picture in milliseconds:
            self._stages(picture)
        self._stages(vars(timing))
        self._inference(artifact, sum(picture["inference"] for picture in milliseconds), faces)

    def comparison(self, comparison: Comparison, timing: Timing) -> None:
        """Record a /compare; of an artifact's repeats, the median counts, once."""
        self._stages(comparison.image.milliseconds | vars(timing))
        for compared in comparison.artifacts:
            said = compared.prediction
            faces = [(said.emotion, said.confidence)]
            self._inference(compared.artifact, compared.milliseconds, faces)

    def _stages(self, milliseconds: dict[str, float]) -> None:
        for stage, spent in milliseconds.items():
            self._stage_seconds.labels(stage).observe(spent / 1000)

    def _inference(
        self, artifact: ArtifactRecord, milliseconds: float, faces: Iterable[tuple[str, float]]
    ) -> None:
        labels = (artifact.model, artifact.precision)
        self._inference_seconds.labels(*labels).observe(milliseconds / 1000)
        for emotion, confidence in faces:
            self._emotions.labels(*labels, emotion).inc()
            self._confidence.labels(*labels).observe(confidence)

    def admitted(self, change: int, waiting: int) -> None:
        """Record that requests entered or left the engine, and how many wait for a thread."""
        self._admitted.inc(change)
        self._waiting.set(waiting)

    def uploading(self, change: int) -> None:
        """Record that a body began or ceased to arrive."""
        self._uploads.inc(change)

    def artifacts(self, loaded: Iterable[ArtifactRecord]) -> None:
        """Record which artifacts are in memory."""
        with self._lock:
            now: set[tuple[str, str, str]] = {(r.model, r.precision, r.version) for r in loaded}
            for labels in now:
                self._artifacts.labels(*labels).set(1)
            for labels in self._in_memory - now:
                if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # where none can be removed
                    self._artifacts.labels(*labels).set(0)
                else:
                    self._artifacts.remove(*labels)
            self._in_memory = now

    def log_line_lost(self) -> None:
        """Count a log line that could not be written."""
        self._lost_lines.inc()

    def clock_jumped(self) -> None:
        """Count a jump of the clock."""
        self._clock_jumps.inc()

    def draining(self) -> None:
        """Record that the service has been told to end."""
        self._draining.set(1)

    def reloaded(self, outcome: Reloaded) -> None:
        """Count a look at a store that had changed."""
        self._reloads.labels(outcome).inc()

    def store_problems(
        self, problem: Literal["unavailable", "damaged_on_disk", "remote"], n: int
    ) -> None:
        """Record how many of the store's artifacts have a problem, or that its URL has one."""
        self._store_problems.labels(problem).set(n)

    def look_for_killed_workers(self) -> None:
        """Take killed workers out of the common numbers of what is alive; count and log them."""
        self._dead_workers.inc(forget_dead_workers())

    def text(self) -> bytes:
        """All numbers in Prometheus's text format."""
        return generate_latest(self._of_all_workers())

    def samples(self, *names: str) -> Iterator[tuple[str, dict[str, str], float]]:
        """Return the samples of these names, with their labels and values."""
        for family in self._of_all_workers().collect():
            for sample in family.samples:
                if sample.name in names:
                    yield sample.name, sample.labels, sample.value

    def _of_all_workers(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry

    @staticmethod
    def close() -> None:
        """Take this process out of the workers' common numbers of what is alive."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
