"""OpenTelemetry traces: off, unless the standard OTEL_ variables name a collector.

A span for each request, and in it one for each stage of its work. They say how a request went and
how long it took; nothing of the picture, the answer or the client.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import structlog
from asgi_correlation_id import correlation_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion.stopwatch import observer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_log = structlog.get_logger()
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_UNTRACED = ("/livez", "/readyz", "/metrics", "/v2/health/")  # asked all the time


def tracer_provider() -> "TracerProvider | None":
    """Return what makes and exports spans, or None where no collector is named.

    Its settings are OpenTelemetry's own: OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME,
    OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_* and the like.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _log.error("no traces", reason="a collector is named, but emotion-service[otel] is missing")
        return None
    named = Resource.create({"service.name": "emotion-service"})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Traces:
    """Makes a span of each request; a W3C ``traceparent`` header makes it part of a trace."""

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        from opentelemetry import propagate, trace

        self._app = app
        self._extract = propagate.extract
        self._trace = trace
        self._tracer = provider.get_tracer("emotion-service")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on inside its span."""
        if scope["type"] != "http" or scope["path"].startswith(_UNTRACED):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        with self._tracer.start_as_current_span(
            scope["method"],
            self._extract(headers),
            self._trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(self._trace.StatusCode.ERROR)
                await send(message)

            token = observer.set(self._stage)
            try:
                await self._app(scope, receive, watched)
            finally:
                observer.reset(token)
                route = getattr(scope.get("route"), "path", "unmatched")
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("http.route", route)
                span.set_attribute("emotion.request_id", correlation_id.get() or "")

    def _stage(self, name: str, of: str) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(
            name,
            attributes={"emotion.artifact": of} if of else {},
            record_exception=False,
            set_status_on_exception=False,
        )


def trace_ids() -> Callable[[], dict[str, str]]:
    """Return what tells the current trace and span, for the log; nothing without the extra."""
    try:
        from opentelemetry import trace
    except ImportError:
        return dict

    def current() -> dict[str, str]:
        context: Any = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    return current
