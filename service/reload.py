"""Follows the model store: loads a newer state beside the old one, then switches."""

import asyncio
import random
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import structlog

from emotion import Classifier
from emotion.errors import ArtifactUnavailableError, EmotionError, StoreError, may_pass
from emotion.records import ArtifactRecord
from emotion.remote.cache import Look
from emotion.store import MANIFEST, ModelStore, file_status
from service.metrics import Metrics

_log = structlog.get_logger()
_JITTER = (0.75, 1.25)  # of the pause between two looks
_PATIENCE = 10  # seconds to wait for another look
_ATTEMPTS = 5  # where publishers follow each other while their stores are being loaded

Open = Callable[[ModelStore, Classifier | None], Classifier]
Preload = Callable[[ModelStore], list[ArtifactRecord]]


class _Watch:
    """Notices changed files without reading them; what ``before`` saw of one is kept."""

    def __init__(self, paths: Iterable[Path], before: "_Watch | None" = None) -> None:
        self._seen: dict[Path, tuple[int, ...] | None] = {path: file_status(path) for path in paths}
        self._seen |= before._seen if before else {}

    def changed(self) -> bool:
        return any(file_status(path) != seen for path, seen in self._seen.items())


class CurrentStore:
    """The classifier over the store's newest usable state.

    A state is used as a whole or not at all: a store that cannot be read, or that lacks something
    which serves now although it lists it, is refused, and the state before goes on serving. What
    both states have in common is loaded once. Whoever took ``classifier`` before a switch keeps a
    sound one; its memory is released with the last of them.
    """

    def __init__(
        self, look: Callable[[], Look], open_store: Open, preload: Preload, metrics: Metrics
    ) -> None:
        """Load the state that is there.

        Args:
            look: tells in which directory the store to serve lies now.
            open_store: makes a classifier, which shares with the one before what it can.
            preload: the records to load before a state serves.
            metrics: told of what is loaded and of every switch or refusal.

        Raises:
            StoreError, UnknownArtifactError, and the detector's errors: nothing can serve. An
            artifact that cannot be loaded is logged and reported; the others serve.
        """
        self._look = look
        self._open = open_store
        self._preload = preload
        self._metrics = metrics
        self._lock = threading.Lock()
        self.remote_problem: str | None = None  # why a newer state may be out of reach
        self.refused: str | None = None  # why the newest state does not serve
        self._again = False  # whether to look at that one again
        self._root = self._find()
        self._watch = _Watch([self._root / MANIFEST])
        self.damaged: dict[str, str] = {}  # files that are no longer what memory holds, and why
        self.classifier = self._load(None)
        self.report()

    def check(self, *, force: bool = False) -> None:
        """Switch to the store's state if it changed since the last look, or if ``force``d.

        Another look that does not end, as on a share that does not answer, is not waited for.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            root = self._find()
            new = force or root != self._root or self._watch.changed()
            if not (new or self._again):
                self.report()
                return
            self._root = root
            before = self.classifier
            try:
                self.classifier = self._load(before)
            except Exception as error:
                self._refuse(error, new=new)
                return
            self.refused, self._again = None, False
            self._find_damage(before)
            same = before.store.manifest == self.classifier.store.manifest
            self._metrics.reloaded("unchanged" if same else "switched")
            _log.info("store read", changed=not same, serving=_versions(self.classifier))
            self.report()
        finally:
            self._lock.release()

    def _refuse(self, error: Exception, *, new: bool) -> None:
        """Serve on; one line and count for each state, however often it is looked at."""
        reason = str(error) or type(error).__name__
        self._again = may_pass(error)
        if new or reason != self.refused:
            self._metrics.reloaded("refused")
            bug = None if isinstance(error, EmotionError) else error
            serving = _versions(self.classifier)
            _log.error("store refused", reason=reason, serving=serving, exc_info=bug)
        self.refused = reason

    def report(self) -> None:
        """Tell the metrics what is loaded, and what cannot be."""
        registry, detectors = self.classifier.registry, self.classifier.detectors
        self._metrics.artifacts(registry.loaded)
        self._metrics.store_problems("unavailable", len(registry.failed | detectors.unavailable))
        self._metrics.store_problems("damaged_on_disk", len(self.damaged))
        self._metrics.store_problems("remote", self.remote_problem is not None)

    def _find(self) -> Path:
        look = self._look()
        if look.problem != self.remote_problem:  # one line, however often the poll comes round
            if look.problem:
                _log.error("store out of reach", reason=look.problem, serving=look.root.name[:12])
            else:
                _log.info("store within reach again", serving=look.root.name[:12])
            self.remote_problem = look.problem
        return look.root

    def _load(self, before: Classifier | None) -> Classifier:
        for attempt in range(_ATTEMPTS):
            self._watch = manifest = _Watch([self._root / MANIFEST])
            try:
                store = ModelStore(self._root)
                self._watch = _Watch(store.files, manifest)  # as it was before it was read
                classifier = self._complete(self._open(store, before), before)
            except EmotionError:
                # Its files may be gone because the next publisher has deleted them.
                if attempt == _ATTEMPTS - 1 or not manifest.changed():
                    raise
            else:
                lacking = classifier.registry.failed | classifier.detectors.unavailable
                if attempt == _ATTEMPTS - 1 or not (lacking and manifest.changed()):
                    return classifier
        raise AssertionError("the last attempt returns or raises")

    def _complete(self, classifier: Classifier, before: Classifier | None) -> Classifier:
        """Load all that must be; raises StoreError where that is less than serves now."""
        store = classifier.store
        serving = {record.name for record in before.registry.loaded} if before else set()
        wanted = {record.name: record for record in self._preload(store)}
        wanted |= {record.name: record for record in store.records if record.name in serving}
        for record in wanted.values():
            try:
                classifier.registry.get(record.model, record.precision)
            except ArtifactUnavailableError as error:
                if record.name in serving:
                    raise StoreError(f"{error} The store before it goes on serving.") from error
                _log.error("artifact unavailable", artifact=record.name, reason=str(error))
            else:
                _log.info("artifact loaded", artifact=record.name, version=record.version)
        lost = classifier.detectors.unavailable
        if before and lost and not before.detectors.unavailable:
            raise StoreError(
                f"{'; '.join(lost.values())} The store before it goes on serving."
            ) from classifier.detectors.fault
        return classifier

    def _find_damage(self, before: Classifier) -> None:
        """Look at the files of what is shared with the state before, which nobody read anew."""
        now, store = self.classifier, self.classifier.store
        shared = {r.sha256 for r in before.registry.loaded}
        shared |= {r.sha256 for r in before.detectors.loaded}
        reads: list[tuple[str, Callable[[], bytes]]] = [
            (r.name, partial(store.read, r)) for r in now.registry.loaded if r.sha256 in shared
        ]
        reads += [
            (f"detector/{r.precision}", partial(store.read_detector, r))
            for r in now.detectors.loaded
            if r.sha256 in shared
        ]
        damaged = {}
        for name, read in reads:
            try:
                read()
            except ArtifactUnavailableError as error:
                damaged[name] = str(error)
                _log.error("artifact served from memory", artifact=name, reason=str(error))
        self.damaged = damaged  # at once: /readyz reads it meanwhile


@asynccontextmanager
async def followed(current: CurrentStore, seconds: float) -> AsyncIterator[None]:
    """Look at the store about every ``seconds`` (0: never) and on SIGHUP while the block runs."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    # There is no such signal on Windows, and no handler outside the main thread.
    with suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGHUP, asked.set)
    task = loop.create_task(_follow(current, seconds, asked))
    try:
        yield
    finally:
        task.cancel()


async def _follow(current: CurrentStore, seconds: float, asked: asyncio.Event) -> None:
    while True:
        # Pods that were started together do not all switch at one moment.
        pause = seconds * random.uniform(*_JITTER)  # noqa: S311 (no secret)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause or None):
                await asked.wait()
        force = asked.is_set()
        asked.clear()
        try:
            await asyncio.to_thread(current.check, force=force)
        except Exception:  # whatever it was, the next look may succeed
            _log.exception("looking at the store failed")


def _versions(classifier: Classifier) -> list[str]:
    return [f"{record.name}@{record.version}" for record in classifier.registry.loaded]
