"""A remote store: push a version, choose the one that is served, go back."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from emotion.errors import StoreError
from emotion.manifest import parse_manifest
from emotion.records import Manifest
from emotion.remote.contents import read, version_of
from emotion.remote.objects import MissingObjectError, Objects
from emotion.remote.records import (
    CHANNEL,
    SCHEMA_VERSION,
    Channel,
    ChannelName,
    Promotion,
    Version,
)
from emotion.store import MANIFEST, ModelStore

R = TypeVar("R", bound=BaseModel)
BLOBS, VERSIONS = "blobs", "versions"


def is_url(place: Path | str) -> bool:
    """Whether a store is elsewhere, and no directory."""
    return isinstance(place, str) and "://" in place


def short(version: str) -> str:
    """Return as much of a version as is shown: 12 hex digits."""
    return version[:12]


@dataclass(frozen=True)
class Pushed:
    """What a push has done."""

    version: str
    files: int
    sent: int  # of them: the others were there
    sent_bytes: int


class RemoteStore:
    """Versions under a URL of S3, Google Cloud Storage, a web server (read-only) or a directory.

    Every method raises RemoteStoreError where the store cannot be reached or lacks an object, and
    StoreError where it holds something else than it should.
    """

    def __init__(self, url: str) -> None:
        """Look at nothing yet; raises StoreError as ``Objects`` does."""
        self._objects = Objects(url)
        self.url = self._objects.url

    def channel(self, name: str = CHANNEL) -> Channel:
        """Read which version is served; RemoteStoreError where none has been promoted."""
        try:
            content = self._objects.read(_channel(name))
        except MissingObjectError as error:
            raise MissingObjectError(
                f"{self.url} has no channel {name}: push a store, then "
                "`emotion models promote VERSION`."
            ) from error
        return self._parsed(Channel, content, _channel(name))

    def versions(self) -> list[str]:
        """List what was pushed; a web server does not tell."""
        return sorted(name.partition(".")[0] for name in self._objects.sizes(VERSIONS))

    def find(self, start: str) -> str:
        """Return the one version that begins with these hex digits, four at least."""
        if not re.fullmatch("[0-9a-fA-F]{4,64}", start):
            raise StoreError(f"{start!r} is no version: give 4 to 64 hex digits of one.")
        if len(start) == 64:
            return start.lower()
        if self._objects.read_only:
            raise StoreError(f"{self.url}: a web server lists no versions: give all 64 digits.")
        found = [version for version in self.versions() if version.startswith(start.lower())]
        if len(found) == 1:
            return found[0]
        known = ", ".join(map(short, found or self.versions())) or "none"
        what = "several versions begin" if found else "no version begins"
        raise StoreError(f"{self.url}: {what} with {start}. There are: {known}.")

    def version(self, version: str) -> Version:
        """Read which files make up a version."""
        name = f"{VERSIONS}/{version}.json"
        content = self._objects.read(name)
        if hashlib.sha256(content).hexdigest() != version:
            raise StoreError(f"{self.url}/{name} is damaged: delete it and push the store again.")
        parsed = self._parsed(Version, content, name)
        if parsed.schema_version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.url}/{name} has schema version {parsed.schema_version}, this release "
                f"reads {SCHEMA_VERSION}: install the release that pushed it."
            )
        return parsed

    def manifest(self, version: Version) -> Manifest:
        """Read a version's table of contents."""
        file = next(file for file in version.files if file.path == MANIFEST)
        place = f"{self.url}/{BLOBS}/{file.sha256}"
        content = self._objects.read(f"{BLOBS}/{file.sha256}")
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise StoreError(f"{place} ({MANIFEST}) is damaged: delete it and push again.")
        return parse_manifest(content, place)

    def part(self, sha256: str, start: int, end: int) -> bytes:
        """Read bytes of a blob; see Objects.read."""
        return self._objects.read(f"{BLOBS}/{sha256}", start, end)

    def push(self, store: ModelStore) -> Pushed:
        """Add a version: what is missing of its blobs, then the list of them; no channel changes.

        Raises:
            ArtifactUnavailableError, StoreError: see ``version_of``.
        """
        self._objects.check_writable()
        version = version_of(store)
        present = self._objects.sizes(BLOBS)
        sent: dict[str, int] = {}
        for file in version.files:
            if present.get(file.sha256) == file.bytes or file.sha256 in sent:
                continue
            content = read(store.root / file.path)
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise StoreError(f"{store.root / file.path} changed meanwhile: push it again.")
            self._objects.write(f"{BLOBS}/{file.sha256}", content)
            sent[file.sha256] = file.bytes
        self._objects.write(f"{VERSIONS}/{version.id}.json", version.encoded())
        return Pushed(version.id, len(version.files), len(sent), sum(sent.values()))

    def promote(self, version: str, channel: str = CHANNEL) -> Channel:
        """Serve a version, all of whose files are there, from now on."""
        self._objects.check_writable()
        self._check_whole(version)
        tag, now = self._channel_now(channel)
        if now is not None and now.version == version:
            return now
        promotion = Promotion(version=version, since=datetime.now(UTC))
        after = now.followed_by(promotion) if now else Channel(**dict(promotion))
        return self._switch(channel, after, tag)

    def rollback(self, channel: str = CHANNEL) -> Channel:
        """Serve again what was served before, if all of its files are there still.

        Once more goes one further back.
        """
        self._objects.check_writable()
        tag, now = self._channel_now(channel)
        if now is None or not now.before:
            raise StoreError(f"{self.url}: channel {channel} has no version before.")
        last = now.before[0]
        self._check_whole(last.version)
        after = Channel(version=last.version, since=datetime.now(UTC), before=now.before[1:])
        return self._switch(channel, after, tag)

    def _check_whole(self, version: str) -> None:
        wanted = self.version(version)
        self.manifest(wanted)
        present = self._objects.sizes(BLOBS)
        lacking = [f.path for f in wanted.files if present.get(f.sha256) != f.bytes]
        if lacking:
            raise StoreError(
                f"{short(version)} cannot be served: {self.url} lacks {_some(lacking)}: push "
                "again, or promote another version."
            )

    def _channel_now(self, name: str) -> tuple[str | None, Channel | None]:
        tag = self._objects.tag(_channel(name))
        return tag, self.channel(name) if tag else None

    def _switch(self, name: str, after: Channel, tag: str | None) -> Channel:
        if not self._objects.exchange(_channel(name), after.encoded(), tag):
            raise StoreError(
                f"{self.url}: channel {name} was changed by somebody else at this moment: look at "
                "it (`emotion models`) and try again."
            )
        return after

    def _parsed(self, record: type[R], content: bytes, name: str) -> R:
        try:
            return record.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise StoreError(f"{self.url}/{name} is damaged: {where}: {first['msg']}.") from error


def check_channel(name: str) -> None:
    """Raise StoreError where this cannot be a channel's name."""
    try:
        TypeAdapter(ChannelName).validate_python(name)
    except ValidationError as error:
        raise StoreError(
            f"{name!r} is no channel: it has small letters, digits, '_' and '-'."
        ) from error


def _channel(name: str) -> str:
    check_channel(name)
    return f"channels/{name}.json"


def _some(names: Iterable[str]) -> str:
    all_of_them = list(names)
    more = f" and {len(all_of_them) - 3} more" if len(all_of_them) > 3 else ""
    return ", ".join(all_of_them[:3]) + more
