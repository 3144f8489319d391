"""GET /metrics: for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from service.metrics import Metrics

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Report counts and timings in Prometheus's text format."""
    counted: Metrics = request.app.state.metrics
    request.app.state.runtime.current.report()
    return Response(counted.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
