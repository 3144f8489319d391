"""POST /explain: what one artifact looks at in one face."""

from functools import partial
from typing import Annotated

from asgi_correlation_id import correlation_id
from fastapi import APIRouter, Query, Request
from pydantic import Field

from emotion import errors
from emotion.explain import explain as explain_face
from service.access import ARTIFACTS
from service.explanations import ExplainAnswer
from service.problems import problem_responses
from service.queries import ArtifactQuery, FaceQuery
from service.routes.predict import IMAGE_ERRORS
from service.runtime import RuntimeDep
from service.shedding import SheddingRoute
from service.upload import REQUEST_BODY, ImageBytes, disconnected

router = APIRouter(tags=["emotions"], route_class=SheddingRoute)


class ExplainQuery(FaceQuery, ArtifactQuery):
    """Query parameters of /explain."""

    grid: int = Field(
        default=10, ge=2, le=16, description="rows and columns of the map: grid² calls"
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
    request: Request,
) -> ExplainAnswer:
    """Show the face before and after CLAHE, and where hiding it changes the artifact's answer.

    Occlusion sensitivity (Zeiler and Fergus 2014): one call of the network for every place.
    """
    store = runtime.classifier.store
    request.scope[ARTIFACTS] = (store.record(query.model, query.precision),)
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
        partial(disconnected, request),
    )
    said = explained.prediction
    runtime.metrics.inferred(
        explained.artifact, [explained.milliseconds], [(said.emotion, said.confidence)], timing
    )
    return ExplainAnswer.of(explained, timing, correlation_id.get())
