"""GET /models: what the store holds, and how good it was measured to be."""

from fastapi import APIRouter

from emotion.errors import UnknownArtifactError
from emotion.preprocess import PIPELINE
from service.problems import problem_responses
from service.runtime import RuntimeDep
from service.schemas import ArtifactSummary, ModelDetail, ModelList

router = APIRouter(tags=["models"], prefix="/models")


@router.get("")
def models(runtime: RuntimeDep) -> ModelList:
    """List the store's artifacts with their measured accuracy, size and latency."""
    return ModelList(
        pipeline_fingerprint=PIPELINE.fingerprint,
        artifacts=[
            ArtifactSummary(version=record.version, record=record)
            for record in runtime.classifier.store.records
        ],
    )


@router.get("/{model}/{precision}", responses=problem_responses(UnknownArtifactError))
def model(model: str, precision: str, runtime: RuntimeDep) -> ModelDetail:
    """Show one artifact with its model's card."""
    record = runtime.classifier.store.record(model, precision)
    card = runtime.classifier.store.card(model)
    return ModelDetail(version=record.version, record=record, card=card)
