"""POST /predict: one image, one artifact."""

from typing import Annotated

from asgi_correlation_id import correlation_id
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from emotion import errors
from emotion.classifier import Faces, NoFace
from emotion.detectors import DetectorName
from service.engine import DeadlineError, OverloadedError
from service.problems import problem_responses
from service.runtime import RuntimeDep
from service.schemas import PredictAnswer
from service.upload import (
    REQUEST_BODY,
    BadUploadError,
    BodyTooLargeError,
    DisconnectedDep,
    ImageBytes,
    UnsupportedBodyError,
    UploadTimeoutError,
)

router = APIRouter(tags=["emotions"])

IMAGE_ERRORS = (
    BadUploadError,
    errors.UnreadableImageError,
    errors.ImageTooSmallError,
    errors.UnknownArtifactError,
    UploadTimeoutError,
    BodyTooLargeError,
    errors.ImageTooLargeError,
    UnsupportedBodyError,
    errors.UnsupportedFormatError,
    errors.NoFaceError,
    errors.TooManyFacesError,
    errors.ArtifactUnavailableError,
    errors.DetectorMissingError,
    OverloadedError,
    DeadlineError,
)


class PredictQuery(BaseModel):
    """Query parameters of /predict."""

    model_config = {"extra": "forbid"}

    model: str = Field(default="mobilenet", description="a backbone of /models")
    precision: str = Field(default="int8", description="float32, float16 or int8")
    faces: Faces = Field(
        default="largest",
        description="the largest face, all, or the whole picture (for face crops; no detection)",
    )
    no_face: NoFace = Field(
        default="error", description="where no face is found: 422, or take the whole picture"
    )
    detector: DetectorName | None = Field(
        default=None, description="finds the faces (default: the service's setting)"
    )


@router.post(
    "/predict",
    responses=problem_responses(*IMAGE_ERRORS),
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def predict(
    query: Annotated[PredictQuery, Query()],
    image: ImageBytes,
    runtime: RuntimeDep,
    gone: DisconnectedDep,
) -> PredictAnswer:
    """Tell which emotions the faces of an image show.

    Send the image as the multipart field `image` (or `file`), or as the raw body.
    """
    prediction, timing = await runtime.compute(
        lambda classifier, _: classifier.predict(
            image,
            query.model,
            query.precision,
            faces=query.faces,
            no_face=query.no_face,
            detector=query.detector,
        ),
        gone,
    )
    runtime.metrics.prediction(prediction, timing)
    return PredictAnswer.of(prediction, timing, correlation_id.get())
