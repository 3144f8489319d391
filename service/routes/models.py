"""GET /models: what the store holds, and how good it was measured to be."""

from typing import Annotated

from fastapi import APIRouter, Path

from emotion.errors import UnknownArtifactError
from emotion.preprocess import PIPELINE
from service.problems import problem_responses
from service.runtime import RuntimeDep
from service.schemas import ArtifactSummary, ModelDetail, ModelList

router = APIRouter(tags=["models"], prefix="/models")


@router.get("")
async def models(runtime: RuntimeDep) -> ModelList:
    """List the store's artifacts with their measured accuracy, size and latency."""
    store = runtime.classifier.store
    return ModelList(
        pipeline_fingerprint=PIPELINE.fingerprint,
        artifacts=[ArtifactSummary(version=r.version, record=r) for r in store.records],
    )


@router.get("/{model}/{precision}", responses=problem_responses(UnknownArtifactError))
async def model(
    model: Annotated[str, Path(examples=["mobilenet"])],
    precision: Annotated[str, Path(examples=["int8"])],
    runtime: RuntimeDep,
) -> ModelDetail:
    """Show one artifact with its model's card."""
    store = runtime.classifier.store
    record = store.record(model, precision)
    return ModelDetail(version=record.version, record=record, card=store.card(model))
