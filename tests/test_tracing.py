"""Traces as a collector receives them: OTLP over HTTP, from a live service."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.clients import eventually
from tests.conftest import ROOT, StartServer
from tests.observed import events

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.bodies: list[bytes] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def messages(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]

    def spans(self) -> list[Span]:
        return [
            span
            for message in self.messages()
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        assert self.headers["content-type"] == "application/x-protobuf"
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def values(attributes: object) -> dict[str, object]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}  # type: ignore[attr-defined]


def test_a_request_and_its_stages_are_one_trace(
    collector: Collector, start_server: StartServer, photo: bytes
) -> None:
    header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with start_server(preload="mobilenet/int8") as server:
        url = f"{server.url}/predict?precision=int8"
        answered = httpx.post(url, content=photo, headers=header)
        request_id = answered.headers["x-request-id"]
        httpx.post(f"{server.url}/compare?models=mobilenet", content=photo)
        httpx.post(f"{server.url}/predict?model=x", content=photo)
        server.stop()  # what was not sent yet is sent
        lines = events(server, "request")
        text = server.log.read_text()
    spans = collector.spans()
    resource = values(collector.messages()[0].resource_spans[0].resource.attributes)
    assert resource["service.name"] == "emotion-service"
    assert resource["deployment.environment"] == "test"

    mine = [span for span in spans if span.trace_id.hex() == TRACE]
    (request,) = [span for span in mine if span.name == "POST /predict"]
    assert request.parent_span_id.hex() == PARENT
    assert request.kind == Span.SPAN_KIND_SERVER
    stages = [span for span in mine if span is not request]
    assert {s.name for s in stages} == {"decode", "detect", "preprocess", "inference"}
    previous = request.start_time_unix_nano
    for stage in sorted(stages, key=lambda span: span.start_time_unix_nano):
        assert stage.parent_span_id == request.span_id
        assert previous <= stage.start_time_unix_nano <= stage.end_time_unix_nano
        previous = stage.end_time_unix_nano
    assert previous <= request.end_time_unix_nano
    assert values(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "emotion.request_id": request_id,
    }
    (line,) = [line for line in lines if line["request_id"] == request_id]
    assert line["trace_id"] == TRACE
    assert line["span_id"] == request.span_id.hex()

    (compared,) = [span for span in spans if span.name == "POST /compare"]
    inferences = [
        values(span.attributes)["emotion.artifact"]
        for span in spans
        if span.parent_span_id == compared.span_id and span.name == "inference"
    ]
    assert len(inferences) == 3
    assert "mobilenet/float32" in inferences
    assert compared.trace_id.hex() != TRACE
    (unknown,) = [s for s in spans if values(s.attributes).get("http.response.status_code") == 404]
    assert unknown.name == "POST /predict"
    assert not [span for span in spans if "readyz" in span.name]
    said = {key for span in spans for key in values(span.attributes)}
    assert said == {*values(request.attributes), "emotion.artifact"}
    assert not [event for span in spans for event in span.events]
    assert b"127.0.0.1" not in b"".join(collector.bodies)
    for value in answered.json()["faces"][0]["probabilities"].values():
        assert len(repr(value)) < 8 or repr(value)[:8] not in text
    assert "Traceback" not in text


def test_a_collector_that_is_not_there_costs_no_answer(
    start_server: StartServer, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with start_server(preload="mobilenet/int8") as server:
        for _ in range(3):
            assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200
        eventually(lambda: "Failed to export" in server.log.read_text())
        server.stop()


def test_nothing_is_traced_without_a_collector_or_without_the_extra() -> None:
    code = """
import os, sys
from service.app import create_app
from service.tracing import Traces
traced = lambda: Traces in [m.cls for m in create_app().user_middleware]
assert not traced()
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
assert traced()
os.environ["OTEL_SDK_DISABLED"] = "true"
assert not traced()
del os.environ["OTEL_SDK_DISABLED"]
for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
    del sys.modules[name]
sys.modules["opentelemetry"] = None  # importing it raises ImportError
assert not traced()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"emotion-service\[otel\] is missing", done.stdout)
