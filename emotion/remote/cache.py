"""A channel of a remote store, kept in a directory here that serves on without it.

Each version is a directory of its own that never changes, which ``ModelStore`` opens like any
other; what versions have in common is kept once.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from emotion.errors import RemoteStoreError, StoreError
from emotion.held import Hold, delete_unheld
from emotion.remote.pull import check_room, fetch, holds, place
from emotion.remote.records import CHANNEL, Channel, StoredFile, Version
from emotion.remote.store import BLOBS, VERSIONS, RemoteStore, check_channel, is_url
from emotion.store import ModelStore, alone

_log = logging.getLogger(__name__)
_UNUSED_SECONDS = 24 * 3600.0
_REPAIR_SECONDS = 60.0  # before a damaged version is fetched again


@dataclass(frozen=True)
class Look:
    """The directory of the store to serve, and why it may not be the newest."""

    root: Path
    problem: str | None = None


class CachedStore:
    """Follows a channel; safe from any thread, and beside other processes with the same cache."""

    def __init__(self, url: str, channel: str = CHANNEL, cache_dir: Path | None = None) -> None:
        """Look at nothing yet.

        Args:
            url: of the remote store.
            channel: which of its versions is wanted.
            cache_dir: where it is kept; by default the user's cache directory.

        Raises:
            StoreError: see Objects.
        """
        self._remote = RemoteStore(url)
        self._channel = channel
        check_channel(channel)
        name = hashlib.sha256(self._remote.url.encode()).hexdigest()[:16]
        self._root = (cache_dir or default_cache_dir()) / name
        self._lock = threading.Lock()
        self._ready: Path | None = None
        self._held: Hold | None = None  # of what is ready, until whoever serves it holds it too
        self._damaged: tuple[str, float, str] | None = None  # version, when it was seen, why

    def look(self) -> Look:
        """Ask which version is served, and bring it here.

        Where that is impossible, the version that was here before is the answer, with the reason.

        Raises:
            StoreError: it is impossible, and there was none before.
        """
        with self._lock:
            try:
                channel = self._remote.channel(self._channel)
                self._ready = self._bring(channel)
            except StoreError as error:
                return self._kept(error)
            with suppress(OSError):
                os.utime(self._ready)  # in use
            return Look(self._ready)

    def _bring(self, channel: Channel) -> Path:
        version = channel.version
        directory = self._root / VERSIONS / version
        if directory == self._ready and directory.is_dir():
            return directory
        now = time.monotonic()
        if self._damaged and self._damaged[0] == version:
            if now < self._damaged[1] + _REPAIR_SECONDS:
                raise StoreError(self._damaged[2])
            self._damaged = None
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with alone(self._root, "Caching"):
                self._assemble(version)
                held = Hold(directory, make=True)
                _write(self._root / "channels" / f"{self._channel}.json", channel.encoded())
                try:
                    self._prune(keep=version)
                except OSError as error:  # such as another user's: no reason not to serve
                    _log.warning("Not deleted from the cache: %s", error)
        except RemoteStoreError:
            raise
        except StoreError as error:
            self._damaged = (version, now, str(error))
            raise
        except OSError as error:
            raise StoreError(
                f"The cache cannot be written: {error.filename or self._root}: {error.strerror}. "
                "Set EMOTION_CACHE_DIR to a directory that can."
            ) from error
        self._held = held
        return directory

    def _assemble(self, version: str) -> None:
        """Make the version's directory whole; what is sound in it stays, somebody may read it."""
        directory, blobs = self._root / VERSIONS / version, self._root / BLOBS
        known = self._listed(version)
        listed = known or self._remote.version(version)
        lacking = _lacking(directory, listed)
        blobs.mkdir(parents=True, exist_ok=True)
        check_room(lacking, blobs)
        for file in lacking:
            fetch(self._remote, file, blobs)
        for file in lacking:
            place(blobs / file.sha256, directory / file.path)
        if not known:
            _write(directory.with_suffix(".json"), listed.encoded())

    def _listed(self, version: str) -> Version | None:
        """Read which files make up a version that is here; None where that is not its list."""
        try:
            content = (self._root / VERSIONS / f"{version}.json").read_bytes()
            if hashlib.sha256(content).hexdigest() != version:
                return None
            return Version.model_validate_json(content)
        except (FileNotFoundError, ValidationError):
            return None

    def _kept(self, error: StoreError) -> Look:
        if self._ready is None or not self._ready.is_dir():
            with suppress(OSError, ValidationError):
                content = (self._root / "channels" / f"{self._channel}.json").read_bytes()
                version = Channel.model_validate_json(content).version
                directory = self._root / VERSIONS / version
                held, listed = Hold(directory, make=True), self._listed(version)
                if listed and not _lacking(directory, listed):
                    self._ready, self._held = directory, held
        if self._ready is None:
            raise error
        return Look(self._ready, str(error))

    def _prune(self, keep: str) -> None:
        """Delete versions that nobody uses nor has asked for in a day, and what only they had."""
        oldest = time.time() - _UNUSED_SECONDS
        named: set[str] = set()
        for directory in (self._root / VERSIONS).glob("*/"):
            old = directory.name != keep and directory.stat().st_mtime < oldest
            if old and delete_unheld(directory):
                directory.with_suffix(".json").unlink(missing_ok=True)
            elif listed := self._listed(directory.name):
                named |= {file.sha256 for file in listed.files}
        for blob in (self._root / BLOBS).glob("*"):
            if blob.name.partition(".")[0] not in named and blob.stat().st_mtime < oldest:
                blob.unlink()


def followed(
    store: Path | str, channel: str = CHANNEL, cache_dir: Path | None = None
) -> Callable[[], Look]:
    """Return what tells where a store lies, a directory or one elsewhere; see CachedStore.look."""
    if is_url(store):
        return CachedStore(str(store), channel, cache_dir).look
    here = Look(Path(store))
    return lambda: here


def open_store(
    store: Path | str, channel: str = CHANNEL, cache_dir: Path | None = None
) -> ModelStore:
    """Open a store.

    Args:
        store: its directory, or its URL.
        channel: of a URL: which version.
        cache_dir: of a URL: where it is kept; by default the user's cache directory.

    Raises:
        StoreError: there is no readable store; see ModelStore, CachedStore.
    """
    looking = followed(store, channel, cache_dir)  # it holds the directory until the store does
    look = looking()
    if look.problem:
        _log.warning("%s The version that is in the cache serves.", look.problem)
    return ModelStore(look.root)


def default_cache_dir() -> Path:
    """Return the user's cache directory for stores."""
    from platformdirs import user_cache_path  # comes with the extra that this needs anyway

    return user_cache_path("emotion-service")


def _lacking(directory: Path, listed: Version) -> list[StoredFile]:
    return [file for file in listed.files if not holds(directory / file.path, file)]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)
