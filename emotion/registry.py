"""What is loaded, as opposed to what is on disk: artifacts and their interpreters."""

import threading

from emotion.arrays import Pixels, Probabilities
from emotion.interpreter import Interpreter, load_interpreter
from emotion.pool import Pool
from emotion.records import ArtifactRecord
from emotion.store import ModelStore


class LoadedArtifact:
    """A verified artifact and its interpreters, warmed."""

    def __init__(self, record: ArtifactRecord, content: bytes, interpreters: int) -> None:
        """Load at most ``interpreters``; raises ArtifactUnavailableError if it cannot run."""
        self.record = record
        self._content = content
        self._interpreters = Pool(self._load, interpreters)

    def run(self, tensors: Pixels) -> Probabilities:
        """Classify uint8 [n, size, size, 3] into float32 [n, 7]; safe from any thread."""
        with self._interpreters.lend() as interpreter:
            return interpreter.run(tensors)

    def fill(self) -> None:
        """Load all interpreters now."""
        self._interpreters.fill()

    def _load(self) -> Interpreter:
        record = self.record
        return load_interpreter(
            f"{record.model}/{record.precision}",
            self._content,
            record.input,
            record.output,
        )


class Registry:
    """Loads artifacts of a store on first use and keeps them."""

    def __init__(self, store: ModelStore, interpreters: int = 1) -> None:
        """Serve ``store``; at most ``interpreters`` calls of one artifact run at once."""
        self.store = store
        self._interpreters = interpreters
        self._loaded: dict[str, LoadedArtifact] = {}
        self._lock = threading.Lock()

    def get(self, model: str, precision: str) -> LoadedArtifact:
        """Return the loaded artifact.

        Raises:
            UnknownArtifactError: the store has none of that name.
            ArtifactUnavailableError: it has, but it cannot be run.
        """
        record = self.store.record(model, precision)
        loaded = self._loaded.get(record.sha256)
        if loaded is None:
            with self._lock:
                loaded = self._loaded.get(record.sha256)
                if loaded is None:
                    content = self.store.read(record)
                    loaded = LoadedArtifact(record, content, self._interpreters)
                    self._loaded[record.sha256] = loaded
        return loaded
