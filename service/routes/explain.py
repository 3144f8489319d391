"""POST /explain: what one artifact looks at in one face."""

from typing import Annotated, Literal

from asgi_correlation_id import correlation_id
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from emotion import errors
from emotion.classifier import NoFace
from emotion.detectors import DetectorName
from emotion.explain import explain as explain_face
from service.explanations import ExplainAnswer
from service.problems import problem_responses
from service.routes.predict import IMAGE_ERRORS
from service.runtime import RuntimeDep
from service.upload import REQUEST_BODY, DisconnectedDep, ImageBytes

router = APIRouter(tags=["emotions"])


class ExplainQuery(BaseModel):
    """Query parameters of /explain."""

    model_config = {"extra": "forbid"}

    model: str = Field(default="mobilenet", description="a backbone of /models")
    precision: str = Field(default="int8", description="float32, float16 or int8")
    grid: int = Field(
        default=10, ge=2, le=16, description="rows and columns of the map: grid² calls"
    )
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
    "/explain",
    responses=problem_responses(*IMAGE_ERRORS, errors.UnknownFaceError),
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def explain(
    query: Annotated[ExplainQuery, Query()],
    image: ImageBytes,
    runtime: RuntimeDep,
    gone: DisconnectedDep,
) -> ExplainAnswer:
    """Show the face before and after CLAHE, and where hiding it changes the artifact's answer.

    Occlusion sensitivity (Zeiler and Fergus 2014): one call of the network for every place.
    """
    explained, timing = await runtime.compute(
        lambda classifier, check: explain_face(
            classifier,
            image,
            query.model,
            query.precision,
            grid=query.grid,
            faces=query.faces,
            face=query.face,
            no_face=query.no_face,
            detector=query.detector,
            check=check,
        ),
        gone,
    )
    said = explained.prediction
    runtime.metrics.inferred(
        explained.artifact, [explained.milliseconds], [(said.emotion, said.confidence)], timing
    )
    return ExplainAnswer.of(explained, timing, correlation_id.get())
