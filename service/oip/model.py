"""An artifact as the protocol sees it: model = backbone, version = precision or content."""

from emotion.errors import UnknownArtifactError
from emotion.labels import EMOTIONS
from emotion.records import ArtifactRecord
from emotion.registry import Registry
from emotion.store import ModelStore
from service.engine import Engine
from service.oip.schemas import ModelMetadata, TensorMetadata

IMAGE = "image"
PIXELS = "pixels"


def find(store: ModelStore, model: str, version: str | None) -> ArtifactRecord:
    """Look up a model's version; without one, its smallest precision, which is int8 if it has it.

    Raises:
        UnknownArtifactError: lists what there is.
    """
    records = _of(store, model)
    if not records:
        known = ", ".join(dict.fromkeys(r.model for r in store.records)) or "none"
        raise UnknownArtifactError(f"There is no model {model[:100]}. There are: {known}.")
    if version is None:
        return records[-1]
    for record in records:
        if version in (record.precision, record.version):
            return record
    known = ", ".join(f"{r.precision} ({r.version})" for r in records)
    raise UnknownArtifactError(
        f"There is no version {version[:100]} of {model}. There are: {known}."
    )


def describe(store: ModelStore, model: str, version: str | None) -> ModelMetadata:
    """Describe one version of a model; raises as ``find``."""
    record = find(store, model, version)
    records = _of(store, model)
    return ModelMetadata(
        name=record.model,
        versions=[*(r.precision for r in records), *(r.version for r in records)],
        inputs=[
            TensorMetadata(name=IMAGE, datatype="BYTES", shape=[-1]),
            TensorMetadata(name=PIXELS, datatype="UINT8", shape=pixels_shape(record)),
        ],
        outputs=[
            TensorMetadata(name="probabilities", datatype="FP32", shape=[-1, len(EMOTIONS)]),
            TensorMetadata(name="emotion", datatype="BYTES", shape=[-1]),
            TensorMetadata(name="box", datatype="INT32", shape=[-1, 4]),
            TensorMetadata(name="image_index", datatype="INT32", shape=[-1]),
        ],
        parameters={
            "version": record.version,
            "precision": record.precision,
            "default_version": records[-1].precision,
            "classes": ",".join(EMOTIONS),
        },
    )


async def load(registry: Registry, engine: Engine, model: str, version: str | None) -> None:
    """Load one version of a model if need be; raises as ``find`` and as Registry.get."""
    record = find(registry.store, model, version)
    if record not in registry.loaded:
        await engine.run(lambda _: registry.get(record.model, record.precision))


def pixels_shape(record: ArtifactRecord) -> list[int]:
    """Return the shape of a batch of ready tensors: -1, size, size, 3."""
    return [-1, *record.input.shape[1:]]


def _of(store: ModelStore, model: str) -> list[ArtifactRecord]:
    return [record for record in store.records if record.model == model]
