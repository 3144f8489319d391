"""What Prometheus sees of a live service."""

import re

import httpx
import pytest

from service.problems import KINDS
from tests.conftest import StartServer
from tests.observed import sample, scrape
from tests.test_deploy import ALERTS

LABEL = re.compile(r'(\w+)="([^"]*)"')
PROBLEMS = "emotion_problems_total"


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_stages_and_faces_are_counted(
    start_server: StartServer, photo: bytes, collage: bytes, workers: int
) -> None:
    with start_server(workers=workers) as server:
        url = server.url
        for _ in range(5):
            httpx.post(f"{url}/predict?precision=int8", content=photo)
        httpx.post(f"{url}/predict?precision=int8&faces=all", content=collage)
        httpx.post(f"{url}/predict", content=b"no image")
        httpx.post(f"{url}/compare?repeats=9&models=mobilenet", content=photo)
        counted = {"method": "POST", "route": "/predict"}
        assert sample(url, "emotion_requests_total", status="200", **counted) == 6
        assert sample(url, "emotion_requests_total", status="415", **counted) == 1
        assert sample(url, "emotion_problems_total", problem="unsupported-format") == 1
        for stage in ("decode", "detect", "preprocess", "queue", "total"):
            assert sample(url, "emotion_stage_seconds_count", stage=stage) == 7
        quick = {"stage": "preprocess", "le": "0.0005"}.items()  # parts of a millisecond differ
        assert ("emotion_stage_seconds_bucket", frozenset(quick)) in scrape(url)
        artifact = {"model": "mobilenet", "precision": "int8"}
        assert sample(url, "emotion_inference_seconds_count", **artifact) == 7
        asked = {"route": "/predict", **artifact}
        assert sample(url, "emotion_artifact_requests_total", status="200", **asked) == 6
        assert sample(url, "emotion_artifact_requests_total", status="415", **asked) == 1
        faces = [
            value
            for (name, labels), value in scrape(url).items()
            if name == "emotion_faces_total" and artifact.items() <= dict(labels).items()
        ]
        assert sum(faces) == 5 + 3 + 1
        loaded = [name for (name, _), value in scrape(url).items() if value == 1]
        assert loaded.count("emotion_artifact_loaded") >= 3
        assert sample(url, "emotion_admitted_requests") == 0


def test_an_explanation_is_counted_as_a_prediction_is(
    start_server: StartServer, photo: bytes
) -> None:
    with start_server() as server:
        url = server.url
        httpx.post(f"{url}/explain?precision=int8&grid=4", content=photo).raise_for_status()
        for stage in ("decode", "detect", "preprocess", "inference", "queue", "total"):
            assert sample(url, "emotion_stage_seconds_count", stage=stage) == 1
        artifact = {"model": "mobilenet", "precision": "int8"}
        assert sample(url, "emotion_inference_seconds_count", **artifact) == 1
        assert sample(url, "emotion_confidence_count", **artifact) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_alerted_on_is_counted_from_zero(start_server: StartServer, workers: int) -> None:
    """Prometheus sees no increase where a series begins with its first event."""
    counters = re.findall(r"(?:increase|rate)\((emotion_\w+_total)(.*?)\[", ALERTS.read_text())
    wanted = {(name, frozenset(LABEL.findall(labels))) for name, labels in counters}
    wanted -= {("emotion_requests_total", frozenset())}  # which any request begins
    with start_server(preload="none", workers=workers) as server:
        served = scrape(server.url)
    assert len(wanted) > 6
    assert {series: served.get(series) for series in wanted} == dict.fromkeys(wanted, 0)
    problems = {dict(labels)["problem"] for name, labels in served if name == PROBLEMS}
    assert {kind.name for kind in KINDS.values()} < problems


def test_no_client_can_add_series(start_server: StartServer) -> None:
    with start_server(preload="none") as server:
        for number in range(3):
            httpx.request(("PROPFIND", "LOCK", "PURGE")[number], f"{server.url}/path{number}")
            httpx.get(f"{server.url}/models/model{number}/int8")
            httpx.post(f"{server.url}/predict?model=model{number}", content=b"no image")
            httpx.post(f"{server.url}/v2/models/model{number}/infer", content=b"{}")
        routes = {
            dict(labels).get("route")
            for (name, labels) in scrape(server.url)
            if name == "emotion_requests_total"
        }
        known = {"unmatched", "/models/{model}/{precision}", "/metrics", "/readyz", "/predict"}
        assert routes <= known | {"/v2/models/{model}/infer"}
        assert not any(name.startswith("emotion_artifact_") for name, _ in scrape(server.url))
        assert (
            sample(
                server.url,
                "emotion_requests_total",
                method="other",
                route="unmatched",
                status="404",
            )
            == 3
        )
