"""Brings a version's files here, each checked before it is taken for what it should be."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emotion.errors import StoreError
from emotion.remote.records import StoredFile
from emotion.remote.store import BLOBS, RemoteStore
from emotion.store import MANIFEST, ModelStore, alone, delete_unnamed

_PART_BYTES = 8_000_000  # of one request: what an interruption loses at most
_STAGING = ".pull"


@dataclass(frozen=True)
class Pulled:
    """What a pull has done."""

    version: str
    files: int
    fetched: int  # of them: the others were there
    fetched_bytes: int


def pull(remote: RemoteStore, version: str, directory: Path) -> Pulled:
    """Make a directory's store that of a version; whoever reads it sees the old or the new one.

    What is there already is not fetched again, and a pull that was interrupted goes on. Files that
    are no part of a store stay.

    Raises:
        RemoteStoreError: the remote store cannot be reached, or lacks a file.
        StoreError: a file there is damaged, or the directory cannot be written; its store is then
            as it was before.
    """
    wanted = remote.version(version)
    fetched = {}
    with alone(directory, "Pulling"):
        try:
            staging = directory / _STAGING
            staging.mkdir(exist_ok=True)
            missing = [file for file in wanted.files if not holds(directory / file.path, file)]
            check_room(missing, staging)
            for file in missing:
                fetched[file.sha256] = fetch(remote, file, staging)
            for file in sorted(missing, key=lambda file: file.path == MANIFEST):
                place(staging / file.sha256, directory / file.path)
            shutil.rmtree(staging)
            delete_unnamed(directory, ModelStore(directory).manifest)
        except OSError as error:
            where = error.filename or directory
            raise StoreError(f"Pulling failed: {where}: {error.strerror}.") from error
    return Pulled(version, len(wanted.files), len(missing), sum(fetched.values()))


def holds(path: Path, file: StoredFile) -> bool:
    """Whether a path has the content it should."""
    try:
        if path.stat().st_size != file.bytes:
            return False
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        return False


def check_room(files: Iterable[StoredFile], folder: Path) -> None:
    """Raise StoreError where a folder's disk has no room for what it lacks of these files."""
    lacking = {file.sha256: file.bytes - _present(folder, file) for file in files}
    missing = sum(lacking.values()) - shutil.disk_usage(folder).free
    if missing > 0:
        raise StoreError(f"{folder}: {missing / 1e6:.1f} MB are missing on this disk: free them.")


def _present(folder: Path, file: StoredFile) -> int:
    """Return how many of a file's bytes are in a folder."""
    for path in (folder / file.sha256, folder / f"{file.sha256}.part"):
        if path.exists():
            return min(path.stat().st_size, file.bytes)
    return 0


def fetch(remote: RemoteStore, file: StoredFile, folder: Path) -> int:
    """Bring a blob into a folder, under its checksum; go on where it was interrupted.

    Returns the bytes that were missing. Raises RemoteStoreError, StoreError (which names the file
    where it is damaged), OSError.
    """
    target = folder / file.sha256
    if holds(target, file):
        return 0
    part = folder / f"{file.sha256}.part"
    begun = part.stat().st_size if part.exists() else 0
    if begun > file.bytes:
        part.unlink()
        begun = 0
    whole = _complete(remote, file, part)
    if not holds(part, file):
        part.unlink()
        if begun and whole:  # what was there before may have been at fault
            return fetch(remote, file, folder)
        raise StoreError(
            f"{remote.url}/{BLOBS}/{file.sha256} ({file.path}) is damaged: delete it there and "
            "push the store again."
        )
    part.replace(target)
    return file.bytes - begun


def _complete(remote: RemoteStore, file: StoredFile, part: Path) -> bool:
    """Append what a part lacks; false where the remote object is shorter than it should be."""
    with part.open("ab") as out:
        while (done := out.tell()) < file.bytes:
            end = min(done + _PART_BYTES, file.bytes)
            content = remote.part(file.sha256, done, end)
            if len(content) < end - done:
                return False
            if len(content) > end - done:  # a server that knows no parts has sent the whole
                content = content[done : file.bytes]
            out.write(content)
        out.flush()
        os.fsync(out.fileno())
    return True


def place(content: Path, target: Path) -> None:
    """Put a file at another place as well, atomically; without a copy where the disk allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    try:
        os.link(content, beside)
    except OSError:
        shutil.copyfile(content, beside)
    beside.replace(target)
