"""Asks a real service for one answer of each kind: the OpenAPI document's examples.

To give a new call or error an example, add the request that provokes it below.
"""

import base64
import io
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.bench import crowd
from benchmarks.server import ROOT, serving
from docs.generate.requests import infer_requests, shortened
from emotion.store import REPORTS, ModelStore
from service.openapi_examples import FILE, Examples

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
CROWD = crowd(2)
STORE = ROOT / "model_store"
VOLATILE = ("request_id", "latency_ms", "latency_spread_ms", "server_timing")
MODEL, VERSION = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
_SHOWN_METRICS = ("emotion_requests_total", "emotion_problems_total", "emotion_faces_total")

Answers = dict[str, dict[int, dict[str, Any]]]


def record() -> Examples:
    """Start services and collect their answers."""
    answers: Answers = {}
    problems: dict[str, Any] = {}

    def ask(operation: str, shows: str, response: httpx.Response, cut: Any = lambda x: x) -> None:
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
            _protocol(http, ask)
            _mistakes(http, fail)
        tight = {"max_body_bytes": len(PHOTO), "max_pixels": 100_000, "upload_seconds": 0.2}
        with serving(log, preload="none", **tight) as server, _client(server) as http:
            fail(http.post("/predict", content=PHOTO + b" "))
            fail(http.post("/predict", content=PHOTO))
            fail(http.post("/predict", content=_slowly()))
            _both(ask, "POST", "/infer", "too many bytes", _infer(http, PHOTO))
            slowly = http.post("/v2/models/mobilenet/infer", content=_slowly())
            _both(ask, "POST", "/infer", "too slow", slowly)
        slow = {"threads": 1, "deadline_seconds": 0.01}
        with serving(log, preload="all", **slow) as server, _client(server) as http:
            _both(ask, "POST", "/infer", "no answer in time", _infer(http, *[PHOTO] * 32))
            time.sleep(1)  # until its thread is free again
            fail(http.post("/compare", params={"repeats": 50}, content=PHOTO))
        full = {"threads": 1, "max_waiting": 0}
        with serving(log, preload="all", **full) as server, _client(server) as http:
            fail(_refused_of_two(http))
        closed = {"api_keys": f"me:{'0' * 64}"}
        with serving(log, preload="none", **closed) as server, _client(server) as http:
            fail(http.post("/predict", content=PHOTO))
        rare = {"client_requests_per_minute": 1, "max_faces": 1}
        with serving(log, preload="none", **rare) as server, _client(server) as http:
            fail(http.post("/predict", params={"faces": "all"}, content=CROWD))
            fail(http.get("/models"))
        both = {"preload": "mobilenet/float32", "shadow": "mobilenet/int8", "shadow_share": 1}
        with serving(log, **both) as server, _client(server) as http:
            _compared(http, ask)
        broken, nothing = _damaged_store(place / "store"), place / "empty"
        nothing.mkdir()
        with (
            serving(log, ready=503, store=broken, detector_dir=nothing) as server,
            _client(server) as http,
        ):
            ask("GET /readyz", "no artifact can run", http.get("/readyz"))
            ask("GET /v2/health/ready", "not ready", http.get("/v2/health/ready"))
            _both(ask, "POST", "/infer", "cannot run", _infer(http, PHOTO))
            there = http.get("/v2/models/mobilenet/ready")
            _both(ask, "GET", "/ready", "cannot run", there)
            fail(http.post("/predict", content=PHOTO))
        fine = {"preload": "mobilenet/int8", "detector_dir": nothing}
        with serving(log, **fine) as server, _client(server) as http:
            fail(http.post("/predict", params={"detector": "caffe"}, content=PHOTO))
        infer = {shows: shortened(request) for shows, request in infer_requests().items()}
        requests = {f"POST {start}/infer": infer for start in (MODEL, VERSION)}
        found = Examples(requests=requests, answers=answers, problems=problems)
    text = found.model_dump_json().replace(str(broken), "model_store")
    return Examples.model_validate_json(text.replace(str(nothing), "face_detector"))


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
    explained = http.post("/explain", params={"grid": 3}, content=PHOTO)
    ask("POST /explain", "a coarse map", explained, _without_pictures)
    ask("GET /reports", "the first two of the list", http.get("/reports"), lambda files: files[:2])
    one = http.get("/models/mobilenet/int8")
    ask("GET /models/{model}/{precision}", "mobilenet int8", one)
    ask("GET /models", "the first of the list", http.get("/models"), _first_artifact)
    ask("GET /metrics", "some of the lines", http.get("/metrics"), _some_lines)


def _compared(http: httpx.Client, ask: Callable[..., None]) -> None:
    http.post("/predict", params={"precision": "float32"}, content=PHOTO)
    for _ in range(100):
        found = http.get("/shadow")
        if found.json()["compared"]:
            break
        time.sleep(0.1)
    ask("GET /shadow", "one face, compared", found)


def _protocol(http: httpx.Client, ask: Callable[..., None]) -> None:
    ask("GET /v2", "the server", http.get("/v2"))
    ask("GET /v2/health/live", "alive", http.get("/v2/health/live"))
    ask("GET /v2/health/ready", "ready", http.get("/v2/health/ready"))
    for path, shows in (("", "metadata"), ("/ready", "ready")):
        _both(ask, "GET", path, shows, http.get(f"/v2/models/mobilenet{path}"))
        _both(ask, "GET", path, "no such model", http.get(f"/v2/models/alexnet{path}"))
    _both(ask, "POST", "/infer", "one picture", _infer(http, PHOTO))
    _both(ask, "POST", "/infer", "not JSON", http.post("/v2/models/mobilenet/infer", content="{"))
    _both(ask, "POST", "/infer", "no such model", http.post("/v2/models/alexnet/infer"))
    _both(ask, "POST", "/infer", "not a served format", _infer(http, _picture("GIF", 64)))
    _both(ask, "POST", "/infer", "no face", _infer(http, _picture("PNG", 256)))


def _infer(http: httpx.Client, *pictures: bytes) -> httpx.Response:
    data = [base64.b64encode(picture).decode() for picture in pictures]
    tensor = {"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}
    return http.post("/v2/models/mobilenet/infer", json={"inputs": [tensor]})


def _both(
    ask: Callable[..., None], verb: str, path: str, shows: str, response: httpx.Response
) -> None:
    """An answer that is the same with and without a version in the path."""
    for start in (MODEL, VERSION):
        ask(f"{verb} {start}{path}", shows, response)


def _refused_of_two(http: httpx.Client) -> httpx.Response:
    def long_one(_: int) -> httpx.Response:
        return http.post("/compare", params={"repeats": 50}, content=PHOTO)

    with ThreadPoolExecutor(2) as clients:
        return next(r for r in clients.map(long_one, range(2)) if r.status_code == 503)


def _mistakes(http: httpx.Client, fail: Callable[[httpx.Response], None]) -> None:
    fail(http.post("/predict", files={"photo": PHOTO}))
    fail(http.post("/predict", content=PHOTO[:2000]))
    fail(http.post("/predict", content=_picture("PNG", 4)))
    fail(http.post("/predict", params={"model": "alexnet"}, content=PHOTO))
    fail(http.post("/predict", content="a face", headers={"content-type": "text/plain"}))
    fail(http.post("/predict", content=_picture("GIF", 64)))
    fail(http.post("/predict", content=_picture("PNG", 256)))
    fail(http.post("/predict", params={"faces": "some"}, content=PHOTO))
    fail(http.post("/compare", params={"face": 1}, content=PHOTO))
    fail(http.get("/reports/none.md"))


def _picture(kind: str, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 128, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def _slowly() -> Iterator[bytes]:
    yield PHOTO[:1000]
    time.sleep(1)
    yield PHOTO[1000:]


def _damaged_store(folder: Path) -> Path:
    copytree(STORE, folder, ignore=lambda _, names: {REPORTS} & set(names))
    for record in ModelStore(folder).records:
        (folder / record.file).write_bytes(b"not what the manifest says")
    return folder


def _without_pictures(explained: dict[str, Any]) -> dict[str, Any]:
    cut = {name: url[:60] + "..." for name, url in explained["crop"].items()}
    return explained | {"crop": cut}


def _first_artifact(models: dict[str, Any]) -> dict[str, Any]:
    return models | {"artifacts": models["artifacts"][:1]}


def _some_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith(_SHOWN_METRICS)]
    lines = [line for line in lines if not line.endswith(" 0.0")]
    return "\n".join(line for line in lines if "livez" not in line and "readyz" not in line)
