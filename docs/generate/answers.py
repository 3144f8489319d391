"""Asks a real service for one answer of each kind: the OpenAPI document's examples.

To give a new call or error an example, add the request that provokes it below.
"""

import io
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.server import ROOT, serving
from emotion.store import ModelStore
from service.openapi_examples import FILE, Examples

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
STORE = ROOT / "model_store"
VOLATILE = ("request_id", "latency_ms")
_SHOWN_METRICS = ("emotion_requests_total", "emotion_problems_total", "emotion_faces_total")

Answers = dict[str, dict[int, dict[str, Any]]]


def record() -> Examples:
    """Start services and collect their answers."""
    answers: Answers = {}
    problems: dict[str, Any] = {}

    def ask(operation: str, shows: str, response: httpx.Response, cut: Any = lambda x: x) -> None:
        if not (response.is_success or response.status_code == httpx.codes.SERVICE_UNAVAILABLE):
            raise RuntimeError(f"{operation} was to show {shows}: {response.text}")
        by_status = answers.setdefault(operation, {}).setdefault(response.status_code, {})
        kind = response.headers["content-type"]
        by_status[shows] = cut(response.json() if "json" in kind else response.text)

    def fail(response: httpx.Response) -> None:
        problem = response.json()
        problems[problem["type"].rpartition(":")[2]] = problem

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        log = place / "log.jsonl"
        with serving(log, preload="mobilenet/int8", threads=2) as server, _client(server) as http:
            _calls(http, ask)
            _mistakes(http, fail)
        tight = {"max_body_bytes": len(PHOTO), "max_pixels": 100_000, "upload_seconds": 0.2}
        with serving(log, preload="none", **tight) as server, _client(server) as http:
            fail(http.post("/predict", content=PHOTO + b" "))
            fail(http.post("/predict", content=PHOTO))
            fail(http.post("/predict", content=_slowly()))
        slow = {"threads": 1, "max_waiting": 0, "deadline_seconds": 0.01}
        with serving(log, preload="all", **slow) as server, _client(server) as http:
            fail(http.post("/compare", params={"repeats": 50}, content=PHOTO))
            fail(http.post("/predict", content=PHOTO))
        broken, nothing = _damaged_store(place / "store"), place / "empty"
        nothing.mkdir()
        with serving(log, store=broken, detector_dir=nothing) as server, _client(server) as http:
            ask("GET /readyz", "no artifact can run", http.get("/readyz"))
            fail(http.post("/predict", content=PHOTO))
        fine = {"preload": "mobilenet/int8", "detector_dir": nothing}
        with serving(log, **fine) as server, _client(server) as http:
            fail(http.post("/predict", params={"detector": "caffe"}, content=PHOTO))
        found = Examples(answers=answers, problems=problems).model_dump_json(indent=1)
    found = found.replace(str(broken), "model_store").replace(str(nothing), "face_detector")
    return Examples.model_validate_json(found)


def write() -> None:
    """Record, and keep the committed answers where only times and ids have changed."""
    found = record()
    if FILE.is_file() and same(
        found.model_dump(), Examples.model_validate_json(FILE.read_bytes()).model_dump()
    ):
        return
    FILE.write_text(found.model_dump_json(indent=1) + "\n")


def same(one: Any, other: Any) -> bool:
    """Whether two answers agree but for ids, times and what another CPU rounds otherwise."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            name in VOLATILE or same(value, other[name]) for name, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, abs_tol=0.05)
    return bool(one == other)


def _client(server: Any) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=60)


def _calls(http: httpx.Client, ask: Callable[..., None]) -> None:
    ask("GET /livez", "alive", http.get("/livez"))
    ask("GET /readyz", "ready", http.get("/readyz"))
    largest = http.post("/predict", files={"image": PHOTO})
    ask("POST /predict", "the largest face", largest)
    whole = http.post("/predict", params={"faces": "whole"}, content=PHOTO)
    ask("POST /predict", "the whole picture as the face", whole)
    chosen: dict[str, str | int] = {
        "models": "mobilenet",
        "precisions": "float32,int8",
        "repeats": 5,
    }
    ask("POST /compare", "two precisions", http.post("/compare", params=chosen, content=PHOTO))
    one = http.get("/models/mobilenet/int8")
    ask("GET /models/{model}/{precision}", "mobilenet int8", one)
    ask("GET /models", "the first of the list", http.get("/models"), _first_artifact)
    ask("GET /metrics", "some of the lines", http.get("/metrics"), _some_lines)


def _mistakes(http: httpx.Client, fail: Callable[[httpx.Response], None]) -> None:
    fail(http.post("/predict", files={"photo": PHOTO}))
    fail(http.post("/predict", content=PHOTO[:2000]))
    fail(http.post("/predict", content=_picture("PNG", 4)))
    fail(http.post("/predict", params={"model": "alexnet"}, content=PHOTO))
    fail(http.post("/predict", content="a face", headers={"content-type": "text/plain"}))
    fail(http.post("/predict", content=_picture("GIF", 64)))
    fail(http.post("/predict", content=_picture("PNG", 256)))
    fail(http.post("/predict", params={"faces": "some"}, content=PHOTO))


def _picture(kind: str, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 128, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def _slowly() -> Iterator[bytes]:
    yield PHOTO[:1000]
    time.sleep(1)
    yield PHOTO[1000:]


def _damaged_store(folder: Path) -> Path:
    copytree(STORE, folder, ignore=lambda _, names: {"reports"} & set(names))
    for record in ModelStore(folder).records:
        (folder / record.file).write_bytes(b"not what the manifest says")
    return folder


def _first_artifact(models: dict[str, Any]) -> dict[str, Any]:
    return models | {"artifacts": models["artifacts"][:1]}


def _some_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith(_SHOWN_METRICS)]
    return "\n".join(line for line in lines if "livez" not in line and "readyz" not in line)
