"""What is loaded, as opposed to what is on disk: artifacts and their interpreters."""

import copy
import threading
from collections.abc import Callable

from emotion.arrays import Pixels, Probabilities
from emotion.errors import ArtifactUnavailableError, may_pass
from emotion.interpreter import load_interpreter
from emotion.mapped import mapped
from emotion.pool import Budget, Pool
from emotion.records import ArtifactRecord
from emotion.store import ModelStore, file_status

SPARE_BYTES = 100_000_000  # the largest artifact twice, or all the small ones


class LoadedArtifact:
    """A verified artifact and its interpreters, warmed."""

    def __init__(
        self, record: ArtifactRecord, content: bytes, interpreters: int, budget: Budget
    ) -> None:
        """Load one, and when it is busy more, up to ``interpreters`` and within the ``budget``.

        Raises:
            ArtifactUnavailableError: it cannot run.
        """
        self.record = record
        model = mapped(content)
        # No method of this object: a cycle would keep the memory of a replaced artifact.
        self._interpreters = Pool(
            lambda: load_interpreter(record.name, model, record.input, record.output),
            interpreters,
            budget,
            # LiteRT's own copy of the weights, which it unpacks from float16 to float32
            cost=record.bytes * (2 if record.precision == "float16" else 1),
        )

    def run(self, tensors: Pixels, check: Callable[[], object] | None = None) -> Probabilities:
        """Classify uint8 [n, size, size, 3] into float32 [n, 7]; safe from any thread.

        ``check`` is called before every run of the network; what it raises ends the work.
        """
        with self._interpreters.lend() as interpreter:
            return interpreter.run(tensors, check)

    def described_by(self, record: ArtifactRecord) -> "LoadedArtifact | None":
        """Return the same interpreters under a newer record, or None where it means others."""
        if any(getattr(record, name) != getattr(self.record, name) for name in _WHAT_RUNS):
            return None
        artifact = copy.copy(self)
        artifact.record = record
        return artifact


_WHAT_RUNS = ("model", "precision", "sha256", "pipeline_fingerprint", "input", "output")


class Registry:
    """Loads artifacts of a store on first use and keeps them."""

    def __init__(
        self,
        store: ModelStore,
        interpreters: int = 1,
        before: "Registry | None" = None,
        spare_bytes: int = SPARE_BYTES,
    ) -> None:
        """Serve ``store``; at most ``interpreters`` calls of one artifact run at once.

        ``spare_bytes`` bounds what all the artifacts' second and further interpreters weigh:
        without it memory would grow with the cores, and most of it for artifacts seldom asked.
        What ``before`` has loaded and ``store`` still lists is shared, whatever became of its file.
        """
        self.store = store
        self._interpreters = interpreters
        self._budget: Budget = before._budget if before else Budget(spare_bytes)
        self._loaded: dict[str, LoadedArtifact] = {}  # by name
        self._failed: dict[str, str] = {}
        self._unreadable: dict[str, tuple[int, ...] | None] = {}  # as the file was
        self._locks = {record.name: threading.Lock() for record in store.records}
        shared = before._loaded if before else {}
        for record in store.records:
            old = shared.get(record.name)
            if old is not None and (same := old.described_by(record)) is not None:
                self._loaded[record.name] = same

    @property
    def loaded(self) -> list[ArtifactRecord]:
        """Artifacts in memory, in the order they came."""
        return [artifact.record for artifact in self._loaded.copy().values()]

    @property
    def failed(self) -> dict[str, str]:
        """Names of artifacts that could not be loaded when last asked for, and why."""
        return self._failed.copy()

    def get(self, model: str, precision: str) -> LoadedArtifact:
        """Return the loaded artifact.

        Raises:
            UnknownArtifactError: the store has none of that name.
            ArtifactUnavailableError: it has, but it cannot be run.
        """
        record = self.store.record(model, precision)
        artifact = self._loaded.get(record.name)
        if artifact is None:
            with self._locks[record.name]:
                artifact = self._loaded.get(record.name)
                if artifact is None:
                    artifact = self._loaded[record.name] = self._load(record)
        return artifact

    def _load(self, record: ArtifactRecord) -> LoadedArtifact:
        name, status = record.name, file_status(self.store.root / record.file)
        if name in self._unreadable and self._unreadable[name] == status:
            raise ArtifactUnavailableError(self._failed[name])  # reading it again is dear
        try:
            content = self.store.read(record)
        except ArtifactUnavailableError as error:
            self._failed[name] = str(error)
            if not may_pass(error):
                self._unreadable[name] = status
            raise
        try:
            artifact = LoadedArtifact(record, content, self._interpreters, self._budget)
        except ArtifactUnavailableError as error:
            self._failed[name] = str(error)
            raise
        self._failed.pop(name, None)
        return artifact
