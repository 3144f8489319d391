"""POST /compare: one image, several artifacts side by side."""

import time
from functools import partial
from typing import Annotated

from asgi_correlation_id import correlation_id
from fastapi import APIRouter, Query, Request
from pydantic import Field

from emotion import errors
from emotion.compare import in_turn
from emotion.names import split
from service.access import ARTIFACTS
from service.problems import problem_responses
from service.queries import FaceQuery
from service.routes.predict import IMAGE_ERRORS
from service.runtime import RuntimeDep
from service.schemas import CompareAnswer
from service.shedding import SheddingRoute
from service.upload import REQUEST_BODY, ImageBytes, disconnected

_FOR_REPEATS = 0.6  # of the deadline: the machine may become busier meanwhile

router = APIRouter(tags=["emotions"], route_class=SheddingRoute)


class CompareQuery(FaceQuery):
    """Query parameters of /compare."""

    models: list[str] = Field(
        default=[], description="backbones, repeated or comma-separated; none means all"
    )
    precisions: list[str] = Field(
        default=[], description="precisions, repeated or comma-separated; none means all"
    )
    repeats: int = Field(
        default=1,
        ge=1,
        le=50,
        description="timed calls of each artifact: with 1 several artifacts run at once, on the "
        "threads that are free; with more one after another, so that their times can be compared, "
        "and no more of them than the deadline leaves time for",
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
    request: Request,
) -> CompareAnswer:
    """Show one face to every chosen artifact; it is decoded, found and cropped once.

    Artifacts that cannot run are left out and named, unless none can.
    """
    models, precisions = split(query.models), split(query.precisions)
    store, chosen = runtime.classifier.store, runtime.classifier.choose(models, precisions)
    request.scope[ARTIFACTS] = [store.record(*pair) for pair in chosen]
    until = time.perf_counter() + _FOR_REPEATS * runtime.settings.deadline_seconds
    comparison, timing = await runtime.compute(
        lambda classifier, check: classifier.compare(
            image,
            models,
            precisions,
            repeats=query.repeats,
            until=until,
            faces=query.faces,
            face=query.face,
            no_face=query.no_face,
            detector=query.detector,
            check=check,
            left_out=lambda _: None,  # the answer names them
            # One repeat is a glance; more are a measurement, in which none disturbs another.
            share=runtime.engine.share if query.repeats == 1 else in_turn,
        ),
        partial(disconnected, request),
    )
    runtime.metrics.comparison(comparison, timing)
    return CompareAnswer.of(comparison, timing, correlation_id.get())
