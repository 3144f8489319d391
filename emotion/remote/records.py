"""What a remote store says of itself: its versions, and which of them a channel serves.

::

    blobs/<sha256>              a file's content, never overwritten
    versions/<sha256>.json      which files make up a store, never overwritten
    channels/production.json    which version is served, and those before it: the one that changes
"""

import hashlib
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SCHEMA_VERSION = 1
"""Counts changes that an older release cannot read."""
CHANNEL = "production"
HISTORY = 20  # promotions that can be rolled back

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
_PLACE = (
    r"^(manifest\.json|[a-z0-9][a-z0-9_-]*/(card\.md|[a-z0-9]+-[0-9a-f]{12}\.tflite)"
    r"|reports/[A-Za-z0-9][A-Za-z0-9._-]*\.(json|md|png))$"
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def encoded(self) -> bytes:
        """Return the one JSON text of this record."""
        return (self.model_dump_json(indent=1) + "\n").encode()


class StoredFile(_Record):
    """One file of a store: where it lies there, and what is in it."""

    path: str = Field(pattern=_PLACE)
    sha256: Sha256
    bytes: int = Field(ge=0, le=2_000_000_000)


class Version(_Record):
    """A whole store: equal stores have equal versions."""

    schema_version: int = SCHEMA_VERSION
    files: tuple[StoredFile, ...] = Field(max_length=10_000)

    @model_validator(mode="after")
    def _is_a_store(self) -> "Version":
        places = [file.path for file in self.files]
        # Some disks take names that differ by case alone for one.
        if places.count("manifest.json") != 1 or len({p.lower() for p in places}) != len(places):
            raise ValueError("no store: a file is named twice, or there is no manifest.json")
        return self

    @property
    def id(self) -> str:
        """SHA-256 of the encoded record."""
        return hashlib.sha256(self.encoded()).hexdigest()


class Promotion(_Record):
    """A version, and since when it is or was served."""

    version: Sha256
    since: datetime


class Channel(Promotion):
    """What is served now, and what was before, the newest first."""

    before: tuple[Promotion, ...] = ()

    def followed_by(self, promotion: Promotion) -> "Channel":
        """Return the channel after a promotion."""
        now = Promotion(version=self.version, since=self.since)
        return Channel(**dict(promotion), before=(now, *self.before)[:HISTORY])
