"""GET /livez and /readyz: probes."""

from fastapi import APIRouter, Response

from service.runtime import RuntimeDep
from service.schemas import Live, Ready

router = APIRouter(tags=["health"])


@router.get("/livez")
def livez() -> Live:
    """Answer as long as the process does."""
    return Live()


@router.get("/readyz", responses={503: {"model": Ready, "description": "No artifact can run."}})
def readyz(runtime: RuntimeDep, response: Response) -> Ready:
    """Say whether requests can be served, by which detector, with which artifacts."""
    status = "ready"
    if runtime.unavailable:
        status = "degraded" if runtime.loaded else "unavailable"
    if status == "unavailable":
        response.status_code = 503
    return Ready(
        status=status,
        detector=runtime.classifier.detector.name,
        artifacts=[f"{r.model}/{r.precision}@{r.version}" for r in runtime.loaded],
        unavailable=runtime.unavailable,
    )
