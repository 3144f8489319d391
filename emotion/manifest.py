"""The manifest as a file: JSON that carries the SHA-256 of its own content.

So a manifest that was damaged, or edited by hand, is refused whatever it says: a wrong scale or
accuracy would be believed.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from emotion.errors import StoreError
from emotion.labels import EMOTIONS
from emotion.records import SCHEMA_VERSION, Manifest

_SEAL = "sha256"
_UNSEALED = 1  # the schema version that had no seal, and is otherwise the same
_READ = (_UNSEALED, SCHEMA_VERSION)


def write_manifest(manifest: Manifest) -> bytes:
    """Return the file's bytes, sealed."""
    return sealed(manifest.model_dump(mode="json"))


def sealed(content: dict[str, Any]) -> bytes:
    """Return a manifest's JSON with the SHA-256 of its content, which replaces one that it has."""
    content = {key: value for key, value in content.items() if key != _SEAL}
    return (json.dumps({**content, _SEAL: _digest(content)}, indent=1) + "\n").encode()


def parse_manifest(text: bytes, path: str) -> Manifest:
    """Return a manifest; raises StoreError, which names ``path``, where it cannot be believed."""
    try:
        version = _SchemaVersion.model_validate_json(text).schema_version
        if version not in _READ:
            cure = "install a newer release" if version > SCHEMA_VERSION else "publish it again"
            raise StoreError(
                f"{path} has schema version {version}, this release reads "
                f"{' and '.join(map(str, _READ))}: {cure}."
            )
        content = from_json(text)
        seal = content.pop(_SEAL, None) if version != _UNSEALED else _digest(content)
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{path} is damaged: {place}: {first['msg']}.") from error
    if manifest.classes != EMOTIONS:
        raise StoreError(f"{path} lists the classes {manifest.classes}, expected {EMOTIONS}.")
    if seal != _digest(content):
        raise StoreError(
            f"{path} was changed after it was published (its content is not that of its {_SEAL}): "
            "restore it from where it came from, or delete it and publish every artifact again."
        )
    return manifest


def _digest(content: dict[str, Any]) -> str:
    """Hash the content, however the JSON is laid out."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class _SchemaVersion(BaseModel):
    schema_version: int
