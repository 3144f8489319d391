"""The face detectors to choose from, each loaded when it is first asked for."""

import logging
import threading
from collections.abc import Callable
from typing import Literal, get_args

from emotion.assets import DetectorFiles, find_detector_files
from emotion.compiled import CompiledDetector
from emotion.errors import ArtifactUnavailableError, UnknownArtifactError
from emotion.faces import CaffeDetector, Detector
from emotion.interpreter import load_interpreter
from emotion.records import DetectorRecord
from emotion.store import ModelStore

DetectorName = Literal["compiled", "caffe"]
_log = logging.getLogger(__name__)


class Detectors:
    """A store's compiled detector and the Caffe original; safe from any thread."""

    def __init__(
        self,
        store: ModelStore,
        find_files: Callable[[], DetectorFiles] = find_detector_files,
        calls: int = 1,
        before: "Detectors | None" = None,
        has_free_core: Callable[[], bool] | None = None,
    ) -> None:
        """Load nothing yet.

        Args:
            store: may hold compiled detectors.
            find_files: finds the Caffe network, which most processes never need.
            calls: how many calls of one detector may run at once.
            before: what it has loaded and ``store`` still lists is shared.
            has_free_core: see CompiledDetector.
        """
        self.unavailable: dict[str, str] = {}  # what could not be loaded, and why
        self.fault: ArtifactUnavailableError | None = None  # the last of those reasons
        self._store = store
        self._find_files = find_files
        self._calls = calls
        self._has_free_core = has_free_core
        self._loaded: dict[DetectorName, Detector] = {}
        self._lock = threading.Lock()
        self._compiled_last: tuple[DetectorRecord, Detector] | None = None
        if before is not None:
            self._compiled_last = before._compiled_last
            if "caffe" in before._loaded:
                self._loaded["caffe"] = before._loaded["caffe"]

    @property
    def loaded(self) -> list[DetectorRecord]:
        """The compiled detector in memory, if there is one."""
        last = self._compiled_last
        return [last[0]] if last is not None and "compiled" in self._loaded else []

    def get(self, name: DetectorName | None = None) -> Detector:
        """Return a detector.

        Args:
            name: ``compiled`` is the store's fastest that loads; none means that one, or
                ``caffe`` where the store has none that loads.

        Raises:
            ValueError: no such name.
            UnknownArtifactError: ``compiled``, but the store has no detector.
            ArtifactUnavailableError: ``compiled``, but none of the store's can be run.
            DetectorMissingError: the Caffe network's files were found nowhere.
        """
        if name is None:
            try:
                return self.get("compiled")
            except (UnknownArtifactError, ArtifactUnavailableError):
                return self.get("caffe")
        if name not in get_args(DetectorName):
            raise ValueError(f"detector is one of {get_args(DetectorName)}, not {name!r}.")
        if name not in self._loaded:
            with self._lock:
                if name not in self._loaded:
                    self._loaded[name] = self._compiled() if name == "compiled" else self._caffe()
        return self._loaded[name]

    def look_for(self, name: DetectorName | None = None) -> None:
        """Raise the errors of ``get``, as far as they can be told without loading a network."""
        if name == "caffe" or (name is None and not self._store.detectors):
            self._find_files()
            return
        if not self._store.detectors:
            raise _no_compiled()
        reasons = []
        for record in self._store.detectors:
            try:
                self._store.read_detector(record)
            except ArtifactUnavailableError as error:
                reasons.append(str(error))
            else:
                return
        if name is None:
            self._find_files()
        else:
            raise ArtifactUnavailableError("; ".join(reasons))

    def _compiled(self) -> Detector:
        if not self._store.detectors:
            raise _no_compiled()
        reasons: dict[str, str] = {}
        for record in self._store.detectors:
            try:
                detector = self._load(record)
            except ArtifactUnavailableError as error:
                reasons[f"detector/{record.precision}"] = str(error)
                self.fault = error
                _log.error("%s", error)
            else:
                self.unavailable = reasons
                return detector
        self.unavailable = reasons
        raise ArtifactUnavailableError("; ".join(reasons.values()))

    def _load(self, record: DetectorRecord) -> Detector:
        if self._compiled_last is not None and _same(self._compiled_last[0], record):
            self._compiled_last = (record, self._compiled_last[1])  # whose file may have moved
            return self._compiled_last[1]
        content = self._store.read_detector(record)
        detector = CompiledDetector(
            record.name,
            lambda threads: load_interpreter(
                f"detector/{record.precision}", content, record.input, record.output, threads
            ),
            interpreters=self._calls,
            has_free_core=self._has_free_core,
        )
        self._compiled_last = (record, detector)
        return detector

    def _caffe(self) -> Detector:
        return CaffeDetector(self._find_files(), networks=self._calls)


def _no_compiled() -> UnknownArtifactError:
    return UnknownArtifactError(
        "The model store has no compiled detector: ask for detector=caffe, or publish one "
        "with `python -m training detector`."
    )


def _same(one: DetectorRecord, other: DetectorRecord) -> bool:
    """Whether two records describe one network, whatever else they say of it."""
    names = ("precision", "sha256", "input", "output")
    return all(getattr(one, name) == getattr(other, name) for name in names)
