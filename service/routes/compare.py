"""POST /compare: one image, several artifacts side by side."""

from typing import Annotated, Literal

from asgi_correlation_id import correlation_id
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from emotion import errors
from emotion.classifier import NoFace
from emotion.detectors import DetectorName
from service.problems import problem_responses
from service.routes.predict import IMAGE_ERRORS
from service.runtime import RuntimeDep
from service.schemas import CompareAnswer
from service.upload import REQUEST_BODY, DisconnectedDep, ImageBytes

router = APIRouter(tags=["emotions"])


class CompareQuery(BaseModel):
    """Query parameters of /compare."""

    model_config = {"extra": "forbid"}

    models: list[str] = Field(
        default=[], description="backbones, repeated or comma-separated; none means all"
    )
    precisions: list[str] = Field(
        default=[], description="precisions, repeated or comma-separated; none means all"
    )
    repeats: int = Field(default=1, ge=1, le=50, description="timed calls of each artifact")
    faces: Literal["largest", "whole"] = Field(
        default="largest", description="the largest face, or the whole picture"
    )
    face: int = Field(
        default=0,
        ge=0,
        description="another face than the largest: its place in /predict's answer to faces=all",
    )
    no_face: NoFace = Field(
        default="error", description="where no face is found: 422, or take the whole picture"
    )
    detector: DetectorName | None = Field(
        default=None, description="finds the faces (default: the service's setting)"
    )


@router.post(
    "/compare",
    responses=problem_responses(*IMAGE_ERRORS, errors.UnknownFaceError),
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def compare(
    query: Annotated[CompareQuery, Query()],
    image: ImageBytes,
    runtime: RuntimeDep,
    gone: DisconnectedDep,
) -> CompareAnswer:
    """Show one face to every chosen artifact; it is decoded, found and cropped once."""
    comparison, timing = await runtime.compute(
        lambda classifier, check: classifier.compare(
            image,
            _split(query.models),
            _split(query.precisions),
            repeats=query.repeats,
            faces=query.faces,
            face=query.face,
            no_face=query.no_face,
            detector=query.detector,
            check=check,
        ),
        gone,
    )
    runtime.metrics.comparison(comparison, timing)
    return CompareAnswer.of(comparison, timing, correlation_id.get())


def _split(values: list[str]) -> list[str]:
    return [name for value in values for part in value.split(",") if (name := part.strip())]
