"""What a live service tells of itself: its metrics, its log, its problems."""

import json

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.server import Server


def scrape(url: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = httpx.get(f"{url}/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def sample(url: str, name: str, **labels: str) -> float:
    return scrape(url).get((name, frozenset(labels.items())), 0)


def entries(server: Server) -> list[dict[str, object]]:
    lines = server.log.read_text().rpartition("\n")[0].splitlines()  # the last may be half written
    return [json.loads(line) for line in lines if line.startswith("{")]


def events(server: Server, event: str) -> list[dict[str, object]]:
    return [entry for entry in entries(server) if entry["event"] == event]


def problem_of(response: httpx.Response, status: int, name: str) -> dict[str, object]:
    """Check that a response is the documented problem and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    assert problem["type"] == f"urn:problem-type:emotion:{name}"
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert len(problem["detail"]) > 25
    return problem
