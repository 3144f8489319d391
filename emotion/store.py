"""The model store on disk: a manifest and the artifacts it lists.

``manifest.json`` is written last and atomically, and names the SHA-256 of every file, so a
reader sees either the old store or the new one and never a half-written artifact.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emotion.errors import ArtifactUnavailableError, StoreError, UnknownArtifactError
from emotion.labels import EMOTIONS
from emotion.preprocess import PIPELINE

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Record):
    """Shape and type of an artifact's input or output; ``scale`` is 0 where not quantized."""

    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


class TrainingRun(_Record):
    """What is needed to make the artifact again."""

    git_commit: str
    seed: int
    data_fingerprint: str
    recipe: dict[str, Any]


class Metrics(_Record):
    """Measured on the artifact itself; ``protocol`` says on which images."""

    protocol: str
    images: int
    accuracy: float = Field(ge=0, le=1)
    accuracy_low: float = Field(ge=0, le=1, description="lower end of the 95 % Wilson interval")
    accuracy_high: float = Field(ge=0, le=1, description="upper end of the 95 % Wilson interval")
    macro_f1: float = Field(ge=0, le=1)
    recall: dict[str, float]
    calibration_error: float = Field(ge=0, le=1, description="expected calibration error, 15 bins")


class Latency(_Record):
    """Milliseconds of one call of the network alone, warm, one image, one thread."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    machine: str
    date: str


class ArtifactRecord(_Record):
    """One artifact as the manifest lists it."""

    model: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    precision: Precision
    file: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9]+\.tflite$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int
    pipeline_fingerprint: str
    input: TensorSpec
    output: TensorSpec
    training: TrainingRun
    metrics: Metrics
    latency: Latency

    @property
    def name(self) -> str:
        """Model and precision, as in ``mobilenet/int8``."""
        return f"{self.model}/{self.precision}"

    @property
    def version(self) -> str:
        """First 12 hex digits of the content's SHA-256."""
        return self.sha256[:12]

    @property
    def input_size(self) -> int:
        """Side of the square input in pixels."""
        return self.input.shape[1]


class Manifest(_Record):
    """The store's table of contents."""

    schema_version: int = SCHEMA_VERSION
    classes: tuple[str, ...] = EMOTIONS
    pipeline: dict[str, Any] = Field(default_factory=lambda: asdict(PIPELINE))
    artifacts: tuple[ArtifactRecord, ...] = ()


class ModelStore:
    """Reads a store directory; the manifest is read once, at construction."""

    def __init__(self, root: Path) -> None:
        """Read the manifest under ``root``; raises StoreError where that is impossible."""
        self.root = root
        self.manifest = _read_manifest(root)
        self._records = {(r.model, r.precision): r for r in self.manifest.artifacts}

    @property
    def records(self) -> tuple[ArtifactRecord, ...]:
        """All artifacts, by model, then from the largest precision to the smallest."""
        order = PRECISIONS.index
        return tuple(sorted(self._records.values(), key=lambda r: (r.model, order(r.precision))))

    def record(self, model: str, precision: str) -> ArtifactRecord:
        """Look up one artifact; raises UnknownArtifactError, which lists those there are."""
        for record in self.records:
            if (record.model, record.precision) == (model, precision):
                return record
        known = ", ".join(f"{r.model}/{r.precision}" for r in self.records) or "none"
        raise UnknownArtifactError(f"There is no artifact {model}/{precision}. There are: {known}.")

    def read(self, record: ArtifactRecord) -> bytes:
        """Return an artifact's content after checking it against the manifest.

        Raises:
            ArtifactUnavailableError: the file is missing or damaged, or it was made with
                another image pipeline than this library's.
        """
        name = f"{record.model}/{record.precision}"
        if record.pipeline_fingerprint != PIPELINE.fingerprint:
            raise ArtifactUnavailableError(
                f"{name} was trained with image pipeline {record.pipeline_fingerprint}, this is "
                f"{PIPELINE.fingerprint}: retrain it, or install the release it came with."
            )
        path = self.root / record.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ArtifactUnavailableError(f"{name}: {path}: {error.strerror}.") from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != record.sha256:
            raise ArtifactUnavailableError(
                f"{name}: {path} is damaged (sha256 {digest[:12]}, the manifest says "
                f"{record.version}): restore it from the repository or publish it again."
            )
        return content

    def card(self, model: str) -> str:
        """Return the model's card in Markdown, or an empty text where it has none."""
        path = self.root / model / "card.md"
        return path.read_text("utf-8") if path.is_file() else ""


def publish(
    root: Path,
    artifacts: Iterable[tuple[ArtifactRecord, bytes]],
    cards: dict[str, str],
) -> Manifest:
    """Add or replace artifacts in the store at ``root`` (made if missing), manifest last.

    Args:
        root: the store's directory.
        artifacts: records with their contents; records of other artifacts stay.
        cards: Markdown text per model name.

    Raises:
        StoreError: the directory cannot be written, or holds a manifest this version cannot
            read. The store is then as it was before.
    """
    new = list(artifacts)
    old = _read_manifest(root).artifacts if (root / MANIFEST).exists() else ()
    replaced = {(r.model, r.precision) for r, _ in new}
    kept = [r for r in old if (r.model, r.precision) not in replaced]
    manifest = Manifest(artifacts=(*kept, *(r for r, _ in new)))
    contents = [(root / r.file, content) for r, content in new]
    contents += [(root / m / "card.md", text.encode()) for m, text in sorted(cards.items())]
    contents.append((root / MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode()))
    _replace_all(contents)
    return manifest


def _replace_all(contents: list[tuple[Path, bytes]]) -> None:
    """Write every file beside its target first, then rename all of them in the given order."""
    staged: list[tuple[Path, Path]] = []
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
            temporary.chmod(0o644)
            temporary.replace(target)
    except OSError as error:
        # What fails while writing, such as a full disk, carries no file name.
        place = error.filename or target
        raise StoreError(f"Publishing failed: {place}: {error.strerror}.") from error
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def _read_manifest(root: Path) -> Manifest:
    path = root / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"No model store: {path}: {error.strerror}. Set EMOTION_STORE to a directory with a "
            "manifest.json, or make one with `python -m training run`."
        ) from error
    try:
        version = _SchemaVersion.model_validate_json(text).schema_version
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{path} has schema version {version}, this release reads up to "
                f"{SCHEMA_VERSION}: install a newer release."
            )
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{path} is damaged: {place}: {first['msg']}.") from error
    if manifest.classes != EMOTIONS:
        raise StoreError(f"{path} lists the classes {manifest.classes}, expected {EMOTIONS}.")
    return manifest


class _SchemaVersion(BaseModel):
    schema_version: int
