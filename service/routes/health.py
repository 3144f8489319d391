"""GET /livez and /readyz: probes."""

from typing import Literal

from fastapi import APIRouter, Request, Response

from service.drain import Drain
from service.runtime import Runtime, RuntimeDep
from service.schemas import Live, Ready

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> Live:
    """Answer as long as the process does."""
    return Live()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    responses={
        503: {"model": Ready, "description": "No artifact can run, or the service is ending."}
    },
)
async def readyz(request: Request, runtime: RuntimeDep, response: Response) -> Ready:
    """Say whether requests can be served, by which detector, with which artifacts."""
    ready = readiness(runtime, request.app.state.drain)
    if not ready.takes_requests:
        response.status_code = 503
    return ready


def readiness(runtime: Runtime, drain: Drain) -> Ready:
    """Return what is ready."""
    classifier = runtime.classifier
    registry, detectors = classifier.registry, classifier.detectors.unavailable
    status: Literal["ready", "degraded", "draining", "unavailable"] = "ready"
    current = runtime.current
    if registry.failed or detectors or current.damaged or current.remote_problem or current.refused:
        status = "degraded"
    if {record.name for record in registry.store.records} <= registry.failed.keys():
        status = "unavailable"
    if drain.begun:
        status = "draining"
    unavailable = registry.failed | detectors | current.damaged
    if current.remote_problem:  # which names the store's URL: for the log alone
        unavailable["store"] = "No newer version can be had from the store's URL: see the log."
    if current.refused:
        unavailable["store"] = "A newer state of the store is refused: see the log."
    return Ready(
        status=status,
        detector=classifier.detector.name,
        artifacts=[f"{record.name}@{record.version}" for record in registry.loaded],
        unavailable=unavailable,
    )
