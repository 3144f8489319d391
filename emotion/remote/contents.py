"""The files of a store in a directory that go to a remote one: all that a service shows."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from emotion.errors import ArtifactUnavailableError, StoreError
from emotion.manifest import parse_manifest
from emotion.remote.records import StoredFile, Version
from emotion.store import CARD, MANIFEST, REPORTS, ModelStore


def version_of(store: ModelStore) -> Version:
    """Read all files of a store once, and tell which they are.

    Raises:
        ArtifactUnavailableError: an artifact's or a detector's file is missing or damaged.
        StoreError: a file's name is none that a store may have, or the store changed meanwhile.
    """
    expected = {record.file: record.sha256 for record in store.manifest.artifacts}
    expected |= {record.file: record.sha256 for record in store.manifest.detectors}
    folders = sorted({name.partition("/")[0] for name in expected})
    cards = [f"{folder}/{CARD}" for folder in folders if (store.root / folder / CARD).is_file()]
    reports = [
        f"{REPORTS}/{path.name}"
        for path in sorted((store.root / REPORTS).glob("*.*"))
        if path.suffix in (".json", ".md", ".png") and path.is_file()
    ]
    files = []
    for name in (MANIFEST, *sorted(expected), *cards, *reports):
        content = read(store.root / name)
        sha256 = hashlib.sha256(content).hexdigest()
        if expected.get(name, sha256) != sha256:
            raise ArtifactUnavailableError(f"{store.root / name} is damaged: publish it again.")
        if name == MANIFEST and parse_manifest(content, name) != store.manifest:
            raise StoreError(f"{store.root} was published anew meanwhile: push it again.")
        try:
            files.append(StoredFile(path=name, sha256=sha256, bytes=len(content)))
        except ValidationError as error:
            raise StoreError(
                f"{store.root / name}: a report's name has letters, digits, '.', '_' and '-'."
            ) from error
    try:
        return Version(files=tuple(files))
    except ValidationError as error:
        raise StoreError(
            f"{store.root / REPORTS}: no two reports' names may differ by case alone."
        ) from error


def read(path: Path) -> bytes:
    """Return a file's content; raises ArtifactUnavailableError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactUnavailableError(f"{path}: {error.strerror}.") from error
