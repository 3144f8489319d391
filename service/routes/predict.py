"""POST /predict: one image, one artifact."""

from functools import partial
from typing import Annotated

from asgi_correlation_id import correlation_id
from fastapi import APIRouter, BackgroundTasks, Query, Request
from pydantic import Field

from emotion import errors
from emotion.classifier import Faces
from service.access import ARTIFACTS
from service.direct import DirectRoute
from service.engine import DeadlineError, OverloadedError
from service.problems import problem_responses
from service.queries import ArtifactQuery, SearchQuery
from service.runtime import RuntimeDep
from service.schemas import PredictAnswer
from service.upload import (
    REQUEST_BODY,
    BadUploadError,
    BodyTooLargeError,
    ImageBytes,
    UnsupportedBodyError,
    UploadTimeoutError,
    disconnected,
)

router = APIRouter(tags=["emotions"], route_class=DirectRoute)

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


class PredictQuery(SearchQuery, ArtifactQuery):
    """Query parameters of /predict."""

    faces: Faces = Field(
        default="largest",
        description="the largest face, all, or the whole picture (for face crops; no detection)",
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
    request: Request,
    after: BackgroundTasks,
) -> PredictAnswer:
    """Tell which emotions the faces of an image show.

    Send the image as the multipart field `image` (or `file`), or as the raw body.
    """
    store = runtime.classifier.store
    request.scope[ARTIFACTS] = (store.record(query.model, query.precision),)
    prediction, timing = await runtime.compute(
        lambda classifier, check: classifier.predict(
            image,
            query.model,
            query.precision,
            faces=query.faces,
            no_face=query.no_face,
            detector=query.detector,
            check=check,
        ),
        partial(disconnected, request),
    )
    after.add_task(runtime.answered, prediction, timing)
    return PredictAnswer.of(prediction, timing, correlation_id.get())
