"""The model store on disk: a manifest and the artifacts it lists.

Artifacts are never overwritten: their file names carry their content's SHA-256.
``manifest.json`` names them and is replaced last and atomically, so a reader sees either the old
store or the new one. Files that it no longer names are deleted after that: a reader of the old
manifest may find one missing, but never another's content.
"""

import errno
import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from emotion.errors import ArtifactUnavailableError, StoreError, UnknownArtifactError
from emotion.held import Hold
from emotion.manifest import parse_manifest, write_manifest
from emotion.preprocess import PIPELINE
from emotion.records import (
    PRECISIONS,
    ArtifactRecord,
    DetectorRecord,
    Manifest,
)

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
CARD = "card.md"
REPORTS = "reports"  # the folder with the evidence


class ModelStore:
    """Reads a store directory; the manifest and the cards are read once, at construction."""

    def __init__(self, root: Path) -> None:
        """Read the manifest under ``root``; raises StoreError where that is impossible."""
        self.root = root
        self._held = Hold(root)  # one in a cache stays while this object may read it
        self.manifest = _read_manifest(root)
        self._cards = {model: _read_card(root / model) for model in self._card_names()}
        self._records: dict[tuple[str, str], ArtifactRecord] = {
            (r.model, r.precision): r for r in self.manifest.artifacts
        }

    @property
    def records(self) -> tuple[ArtifactRecord, ...]:
        """All artifacts, by model, then from the largest precision to the smallest."""
        return in_order(self._records.values())

    @property
    def detectors(self) -> tuple[DetectorRecord, ...]:
        """All compiled face detectors, the fastest (as measured) first."""
        return tuple(sorted(self.manifest.detectors, key=lambda r: r.latency.p50_ms))

    def record(self, model: str, precision: str) -> ArtifactRecord:
        """Look up one artifact; raises UnknownArtifactError, which lists those there are."""
        record = self._records.get((model, precision))
        if record is not None:
            return record
        known = ", ".join(r.name for r in self.records) or "none"
        raise UnknownArtifactError(f"There is no artifact {model}/{precision}. There are: {known}.")

    def read(self, record: ArtifactRecord) -> bytes:
        """Return an artifact's content after checking it against the manifest.

        Raises:
            ArtifactUnavailableError: the file is missing or damaged, or it was made with
                another image pipeline than this library's.
        """
        name = record.name
        if record.pipeline_fingerprint != PIPELINE.fingerprint:
            raise ArtifactUnavailableError(
                f"{name} was trained with image pipeline {record.pipeline_fingerprint}, this is "
                f"{PIPELINE.fingerprint}: retrain it, or install the release it came with."
            )
        return self._content(name, record)

    def read_detector(self, record: DetectorRecord) -> bytes:
        """Return a detector's content after checking it against the manifest.

        Raises:
            ArtifactUnavailableError: the file is missing or damaged.
        """
        return self._content(f"detector/{record.precision}", record)

    def _content(self, name: str, record: ArtifactRecord | DetectorRecord) -> bytes:
        # The path is for the log alone: errors reach clients, who need not know the server's disk.
        path = self.root / record.file
        try:
            content = _read_regular(path)
        except OSError as error:
            _log.error("%s: %s: %s", name, path, error.strerror)
            raise ArtifactUnavailableError(f"{name}: {record.file}: {error.strerror}.") from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != record.sha256:
            _log.error("%s: %s is damaged", name, path)
            raise ArtifactUnavailableError(
                f"{name}: {record.file} is damaged (sha256 {digest[:12]}, the manifest says "
                f"{record.version}): restore it from the repository or publish it again."
            )
        return content

    def card(self, model: str) -> str:
        """Return the model's card in Markdown, or an empty text where it has none."""
        return self._cards.get(model, "")

    @property
    def files(self) -> tuple[Path, ...]:
        """The manifest and every file it names."""
        named = [record.file for record in self.manifest.artifacts]
        named += [record.file for record in self.manifest.detectors]
        return tuple(self.root / name for name in (MANIFEST, *named))

    def _card_names(self) -> set[str]:
        return {r.model for r in self.manifest.artifacts} | {"detector"}


def in_order(records: Iterable[ArtifactRecord]) -> tuple[ArtifactRecord, ...]:
    """Sort by model, then from the largest precision to the smallest."""
    order = PRECISIONS.index
    return tuple(sorted(records, key=lambda r: (r.model, order(r.precision))))


def _read_card(directory: Path) -> str:
    try:
        return (directory / CARD).read_text("utf-8", errors="replace")
    except OSError:
        return ""


def file_status(path: Path) -> tuple[int, ...] | None:
    """Return what changes with a file's content, to notice that without reading it.

    Device, inode, size and time of modification in ns; None where there is no file.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def publish(
    root: Path,
    artifacts: Iterable[tuple[ArtifactRecord, bytes]],
    cards: dict[str, str],
    detectors: Iterable[tuple[DetectorRecord, bytes]] = (),
    reports: Mapping[str, bytes] | None = None,
) -> Manifest:
    """Add or replace artifacts in the store at ``root`` (made if missing), manifest last.

    Another publisher of the same store waits until this one has finished.

    Args:
        root: the store's directory.
        artifacts: records with their contents; records of other artifacts stay.
        cards: Markdown text per model name, or for ``detector``.
        detectors: records with their contents; records of other precisions stay.
        reports: evidence by file name, which goes to the store's reports.

    Raises:
        StoreError: the directory cannot be written, or holds a manifest this version cannot
            read. The store is then as it was before.
    """
    new, new_detectors = list(artifacts), list(detectors)
    with alone(root, "Publishing"):
        return _publish(root, new, cards, new_detectors, reports or {})


def _publish(
    root: Path,
    new: list[tuple[ArtifactRecord, bytes]],
    cards: dict[str, str],
    new_detectors: list[tuple[DetectorRecord, bytes]],
    reports: Mapping[str, bytes],
) -> Manifest:
    old = _read_manifest(root) if (root / MANIFEST).exists() else Manifest()
    replaced = {(r.model, r.precision) for r, _ in new}
    kept = [r for r in old.artifacts if (r.model, r.precision) not in replaced]
    precisions = {r.precision for r, _ in new_detectors}
    kept_detectors = [r for r in old.detectors if r.precision not in precisions]
    manifest = Manifest(
        artifacts=(*kept, *(r for r, _ in new)),
        detectors=(*kept_detectors, *(r for r, _ in new_detectors)),
    )
    contents = [(root / r.file, content) for r, content in new]
    contents += [(root / r.file, content) for r, content in new_detectors]
    contents += [(root / m / CARD, text.encode()) for m, text in sorted(cards.items())]
    contents += [(root / REPORTS / name, content) for name, content in sorted(reports.items())]
    contents.append((root / MANIFEST, write_manifest(manifest)))
    _replace_all(contents)
    delete_unnamed(root, manifest)
    return manifest


@contextmanager
def alone(root: Path, doing: str) -> Iterator[None]:
    """Hold a directory (made if missing) against others; the lock ends with the process.

    Raises StoreError, which says what one was ``doing``, where that is impossible.
    """
    if sys.platform == "win32":
        yield
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StoreError(f"{doing} failed: {root}: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def delete_unnamed(root: Path, manifest: Manifest) -> None:
    """Delete the artifacts that a store's manifest does not name."""
    named = {root / record.file for record in manifest.artifacts}
    named |= {root / record.file for record in manifest.detectors}
    for file in root.glob("*/*.tflite"):
        if file not in named:
            file.unlink(missing_ok=True)


def _replace_all(contents: list[tuple[Path, bytes]]) -> None:
    """Write every file beside its target first, then rename all of them in the given order.

    Where a rename fails, those before it are undone.
    """
    staged: list[tuple[Path, Path]] = []
    replaced: list[tuple[Path, bytes | None]] = []
    try:
        for target, content in contents:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            staged.append((Path(name), target))
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for temporary, target in staged:
            old = target.read_bytes() if target.exists() else None
            temporary.chmod(0o644)
            temporary.replace(target)
            replaced.append((target, old))
    except OSError as error:
        for target_before, old in reversed(replaced):
            if old is None:
                target_before.unlink()
            else:
                target_before.write_bytes(old)
        # What fails while writing, such as a full disk, carries no file name.
        place = error.filename or target
        raise StoreError(f"Publishing failed: {place}: {error.strerror}.") from error
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def _read_regular(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # on a pipe, reading could wait for ever
        raise OSError(errno.EINVAL, "no regular file")
    return path.read_bytes()


def _read_manifest(root: Path) -> Manifest:
    path = root / MANIFEST
    try:
        text = _read_regular(path)
    except OSError as error:
        raise StoreError(
            f"No model store: {path}: {error.strerror}. Give a directory with a manifest.json or a "
            "URL (EMOTION_STORE, --store), or make one with `python -m training run`."
        ) from error
    return parse_manifest(text, str(path))
