"""The networks as a deployment of their own, called by the replicas that decode and find faces.

A replica keeps the few artifacts it was asked for last (multiplexing), and classifies together the
faces that arrived while it was computing (dynamic batching).
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from ray import serve
from ray.exceptions import RayTaskError
from ray.serve.handle import DeploymentHandle

from emotion import Classifier
from emotion.arrays import Pixels, Probabilities
from emotion.errors import ArtifactUnavailableError
from emotion.pool import Budget
from emotion.records import ArtifactRecord
from emotion.registry import LoadedArtifact, Registry
from emotion.store import ModelStore
from service.metrics import Metrics
from service.runtime import Runtime
from service.settings import Settings

ARTIFACTS_PER_REPLICA = 3
MAX_BATCH = 16  # requests, each with one face or more


class Artifacts:
    """Runs whichever artifact the request's multiplexed model id names (see ``model_id``)."""

    def __init__(self) -> None:
        self._kept: WeakSet[LoadedArtifact] = WeakSet()
        self._loaded = self._batches = self._requests = self._largest = 0

    @serve.multiplexed(max_num_models_per_replica=ARTIFACTS_PER_REPLICA)  # type: ignore[untyped-decorator]
    async def _artifact(self, model_id: str) -> LoadedArtifact:
        artifact = await asyncio.to_thread(_load, model_id)
        self._kept.add(artifact)
        self._loaded += 1
        return artifact

    # No waiting: what came while the batch before was computed is the next batch.
    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0)
    async def run(self, tensors: list[Pixels]) -> list[Probabilities]:
        """Classify the requests' uint8 [n, size, size, 3] into float32 [n, 7] each."""
        artifact = await self._artifact(serve.get_multiplexed_model_id())
        self._batches += 1
        self._requests += len(tensors)
        self._largest = max(self._largest, len(tensors))
        answers = await asyncio.to_thread(artifact.run, np.concatenate(tensors))
        ends = np.cumsum([len(part) for part in tensors])[:-1]
        return np.split(answers, ends)

    async def counts(self) -> dict[str, int]:
        """Tell how often this replica loaded an artifact, how many it has, and of its batches."""
        return {
            "loaded": self._loaded,
            "kept": len(self._kept),
            "batches": self._batches,
            "requests": self._requests,
            "largest_batch": self._largest,
        }


class StagedRuntime(Runtime):
    """A runtime whose networks run in the Artifacts deployment."""

    def __init__(
        self, settings: Settings, metrics: Metrics, artifacts: DeploymentHandle[Any]
    ) -> None:
        """As a Runtime; ``artifacts`` is the deployment to call."""
        self._artifacts = artifacts
        super().__init__(settings, metrics)

    def _open(self, store: ModelStore, before: Classifier | None) -> Classifier:
        classifier = super()._open(store, before)
        classifier.registry = _RemoteRegistry(
            store, self._artifacts, before.registry if before else None
        )
        return classifier


def model_id(root: Path, record: ArtifactRecord) -> str:
    """Name an artifact so that a replica anywhere loads this version of it, or none."""
    return f"{root}|{record.model}|{record.precision}|{record.sha256}"


def _load(model_id: str) -> LoadedArtifact:
    root, model, precision, sha256 = model_id.rsplit("|", 3)
    store = ModelStore(Path(root))
    record = store.record(model, precision)
    if record.sha256 != sha256:
        raise ArtifactUnavailableError(
            f"{record.name}: the store {root} of this node has version {record.version}, not "
            f"{sha256[:12]}: bring the same store to every node."
        )
    return LoadedArtifact(record, store.read(record), interpreters=1, budget=Budget(0))


class _RemoteRegistry(Registry):
    """Knows what the store has, and loads nothing here."""

    def __init__(
        self, store: ModelStore, artifacts: DeploymentHandle[Any], before: Registry | None
    ) -> None:
        super().__init__(store, before=before)
        self._artifacts = artifacts

    def _load(self, record: ArtifactRecord) -> LoadedArtifact:
        artifact = _RemoteArtifact(self.store.root, record, self._artifacts)
        artifact.fill()
        return artifact


class _RemoteArtifact(LoadedArtifact):
    """An artifact that another replica runs."""

    def __init__(
        self, root: Path, record: ArtifactRecord, artifacts: DeploymentHandle[Any]
    ) -> None:
        self.record = record
        self._call: Any = artifacts.options(multiplexed_model_id=model_id(root, record)).run

    def run(self, tensors: Pixels, check: Callable[[], object] | None = None) -> Probabilities:
        if check:
            check()
        try:
            answers: Probabilities = self._call.remote(tensors).result()
        except RayTaskError as error:
            if isinstance(error.cause, ArtifactUnavailableError):
                raise error.cause from None
            raise
        return answers

    def fill(self) -> None:
        """Let a replica load it now."""
        self.run(np.zeros(self.record.input.shape, np.uint8))
