"""The service over HTTP: a real process, real artifacts, real pictures."""

import asyncio
import base64
import gc
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

from emotion import EMOTIONS, Classifier
from emotion.store import ModelStore
from service.engine import DeadlineError, Engine, OverloadedError
from tests.clients import cpu_seconds, refused_start
from tests.conftest import ROOT, Server, StartServer, encode
from tests.observed import events, problem_of, sample
from tests.test_decode import BOMBS, bomb, many_chunks, many_scans

STAGES = {"decode", "detect", "preprocess", "queue", "inference", "total"}


def test_predict_answers_as_documented(
    http: httpx.Client, classifier: Classifier, photo: bytes
) -> None:
    response = http.post(
        "/predict",
        params={"model": "mobilenet", "precision": "int8"},
        files={"image": ("photo.jpg", photo)},
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model"] == "mobilenet"
    assert answer["precision"] == "int8"
    assert len(answer["version"]) == 12
    assert answer["image"] == {"width": 512, "height": 512}
    assert answer["detector"] == classifier.detector.name
    assert answer["request_id"] == response.headers["x-request-id"]
    (face,) = answer["faces"]
    assert set(face["box"]) == {"x", "y", "width", "height"}
    assert face["score"] > 0.9
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert face["emotion"] == max(face["probabilities"], key=face["probabilities"].get) == "happy"
    assert face["confidence"] == face["probabilities"][face["emotion"]]
    assert set(answer["latency_ms"]) == STAGES
    stages = answer["latency_ms"]
    assert sum(v for k, v in stages.items() if k != "total") <= stages["total"] + 0.01


def test_every_way_to_send_a_picture_gives_the_librarys_answer(
    http: httpx.Client, classifier: Classifier, photo: bytes
) -> None:
    for record in classifier.store.records:
        expected = classifier.predict(photo, record.model, record.precision).faces[0]
        parameters = {"model": record.model, "precision": record.precision}
        for body in (
            {"files": {"image": photo}},
            {"files": {"file": photo}},
            {"content": photo, "headers": {"content-type": "image/jpeg"}},
            {"content": photo, "headers": {"content-type": "application/octet-stream"}},
            {"content": photo},
        ):
            answer = http.post("/predict", params=parameters, **body).json()
            assert answer["version"] == record.version
            assert answer["faces"][0]["probabilities"] == dict(
                zip(EMOTIONS, expected.probabilities.tolist(), strict=True)
            )


def test_all_faces_and_whole_pictures(
    http: httpx.Client, classifier: Classifier, collage: bytes, no_face_photo: bytes
) -> None:
    several = http.post("/predict", params={"faces": "all"}, content=collage).json()
    areas = [face["box"]["width"] * face["box"]["height"] for face in several["faces"]]
    assert len(areas) == 3
    assert areas == sorted(areas, reverse=True)
    whole = http.post("/predict", params={"faces": "whole"}, content=no_face_photo).json()
    assert whole["detector"] is None
    assert whole["faces"][0]["box"] is None
    fallback = http.post("/predict", params={"no_face": "whole"}, content=no_face_photo).json()
    assert fallback["detector"] == classifier.detector.name
    assert fallback["faces"][0]["probabilities"] == whole["faces"][0]["probabilities"]


def test_a_phone_photo_is_turned_upright(http: httpx.Client, photo: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    sideways = Image.open(io.BytesIO(photo)).crop((0, 0, 512, 400))
    sideways.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", exif=exif, quality=95)
    answer = http.post("/predict", content=buffer.getvalue()).json()
    assert answer["image"] == {"width": 512, "height": 400}
    assert answer["faces"][0]["emotion"] == "happy"


def test_compare_puts_the_artifacts_side_by_side(
    http: httpx.Client, classifier: Classifier, photo: bytes
) -> None:
    answer = http.post("/compare", params={"repeats": 5}, files={"image": photo}).json()
    records = classifier.store.records
    assert [a["version"] for a in answer["artifacts"]] == [r.version for r in records]
    for artifact, record in zip(answer["artifacts"], records, strict=True):
        assert artifact["bytes"] == record.bytes
        assert artifact["accuracy"] == record.metrics.accuracy
        assert artifact["latency_ms"] > 0
        assert artifact["emotion"] == "happy"
    assert set(answer["models"]) == {r.model for r in records if r.precision == "float32"}
    assert answer["models"]["mobilenet"]["agreement"] == 1
    assert 0 < answer["models"]["mobilenet"]["largest_difference"] < 0.2
    assert set(answer["latency_ms"]) == STAGES - {"inference"}


def test_compare_repeats_no_more_than_the_deadline_has_time_for(
    start_server: StartServer, photo: bytes
) -> None:
    with start_server(deadline_seconds=1) as hurried:
        answer = httpx.post(f"{hurried.url}/compare?repeats=50", content=photo, timeout=30)
        assert answer.status_code == 200
        slow = answer.json()["repeats"]
        assert 1 <= slow < 50
        assert answer.json()["latency_ms"]["total"] < 1000
        quick = "/compare?repeats=50&models=mobilenet&precisions=int8"
        assert httpx.post(f"{hurried.url}{quick}", content=photo).json()["repeats"] > slow


@pytest.mark.parametrize(
    "query", ["models=mobilenet&precisions=int8,float16", "precisions=int8&precisions=float16"]
)
def test_compare_can_choose(http: httpx.Client, photo: bytes, query: str) -> None:
    answer = http.post(f"/compare?{query}&models=mobilenet", content=photo).json()
    assert {a["precision"] for a in answer["artifacts"]} == {"int8", "float16"}
    assert answer["models"] == {}


def test_models_show_the_store(http: httpx.Client, classifier: Classifier) -> None:
    listed = http.get("/models").json()
    assert listed["classes"] == list(EMOTIONS)
    assert [a["version"] for a in listed["artifacts"]] == [
        r.version for r in classifier.store.records
    ]
    detail = http.get("/models/mobilenet/int8").json()
    assert detail["record"]["precision"] == "int8"
    assert detail["card"].startswith("# mobilenet")
    problem = problem_of(http.get("/models/mobilenet/int4"), 404, "unknown-artifact")
    assert "mobilenet/int8" in str(problem["detail"])


def test_probes(http: httpx.Client, classifier: Classifier) -> None:
    assert http.get("/livez").json() == {"status": "alive"}
    assert http.head("/livez").status_code == http.head("/readyz").status_code == 200
    ready = http.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["detector"] == classifier.detector.name
    assert len(ready["artifacts"]) == len(classifier.store.records)


def test_docs_and_a_complete_openapi_document(http: httpx.Client) -> None:
    page = http.get("/docs").text
    resources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(resources) >= 2
    for resource in resources:  # none from another host
        assert resource.startswith(str(http.base_url))
        assert http.get(resource).status_code == 200
    document = http.get("/openapi.json").json()
    references = {
        part.split('"')[0] for part in json.dumps(document).split('"#/components/schemas/')[1:]
    }
    assert references <= set(document["components"]["schemas"])
    documented = set(document["paths"]["/predict"]["post"]["responses"])
    refusals = {"400", "401", "404", "408", "413", "415", "422", "429", "503", "504"}
    assert documented == {"200"} | refusals


def test_a_request_id_is_kept_or_made(http: httpx.Client) -> None:
    mine = "0123456789abcdef0123456789abcdef"
    assert http.get("/livez", headers={"x-request-id": mine}).headers["x-request-id"] == mine
    made = http.get("/livez", headers={"x-request-id": "not an id\t<script>"})
    assert len(made.headers["x-request-id"]) == 32


PICTURE = encode(skimage.data.astronaut()[:256, 96:352], "JPEG")
BAD_INPUT = {
    "zero bytes": ({"files": {"image": b""}}, 400, "unreadable-image"),
    "no body": ({}, 400, "unreadable-image"),
    "truncated": ({"files": {"image": PICTURE[:3000]}}, 400, "unreadable-image"),
    "text named jpg": ({"files": {"image": ("a.jpg", b"hello")}}, 415, "unsupported-format"),
    "gif": ({"content": encode(skimage.data.coffee(), "GIF")}, 415, "unsupported-format"),
    "1x1": ({"content": encode(np.zeros((1, 1, 3), np.uint8))}, 400, "image-too-small"),
    **{f"{kind} bomb": ({"content": bomb(kind)}, 413, "image-too-large") for kind in BOMBS},
    "50 MB": ({"content": bytes(50_000_000)}, 413, "body-too-large"),
    "50 MB form": ({"files": {"image": bytes(50_000_000)}}, 413, "body-too-large"),
    "50 MB chunked": ({"content": [bytes(1_000_000)] * 50}, 413, "body-too-large"),
    "unknown model": (
        {"content": PICTURE, "params": {"model": "alexnet"}},
        404,
        "unknown-artifact",
    ),
    "unknown precision": (
        {"content": PICTURE, "params": {"precision": "int4"}},
        404,
        "unknown-artifact",
    ),
    "missing field": ({"files": {"picture": PICTURE}}, 400, "bad-upload"),
    "parameter in the form": (
        {"files": {"image": PICTURE}, "data": {"model": "vgg16"}},
        400,
        "bad-upload",
    ),
    "two fields": ({"files": {"image": PICTURE, "file": PICTURE}}, 400, "bad-upload"),
    "one field twice": (
        {"files": [("image", PICTURE), ("image", PICTURE)]},
        400,
        "bad-upload",
    ),
    "text field": ({"data": {"image": "photo.jpg"}, "files": {"x": b""}}, 400, "bad-upload"),
    "broken form": (
        {"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=y"}},
        400,
        "bad-upload",
    ),
    "no boundary": (
        {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
        400,
        "bad-upload",
    ),
    "json": ({"json": {"image": "photo.jpg"}}, 415, "unsupported-body"),
    "form": ({"data": {"image": "photo.jpg"}}, 415, "unsupported-body"),
    "many scans": ({"content": many_scans()}, 400, "unreadable-image"),
    "9 MB of fill bytes": (
        {"content": b"\xff\xd8" + b"\xff" * 9_000_000},
        400,
        "unreadable-image",
    ),
    "2 million comments": (
        {"content": b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000},
        400,
        "unreadable-image",
    ),
    "800,000 chunks": ({"content": many_chunks()}, 400, "unreadable-image"),
    "bad option": (
        {"content": PICTURE, "params": {"faces": "some"}},
        422,
        "invalid-parameter",
    ),
    "unknown option": (
        {"content": PICTURE, "params": {"modle": "resnet50"}},
        422,
        "invalid-parameter",
    ),
    "no face": ({"content": encode(skimage.data.coffee(), "JPEG")}, 422, "no-face"),
}


@pytest.mark.parametrize("path", ["/predict", "/compare"])
@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_a_helpful_answer_within_a_second(
    http: httpx.Client, server: Server, case: str, path: str
) -> None:
    request, status, name = BAD_INPUT[case]
    if path == "/compare":
        names = {"model": "models", "precision": "precisions"}
        given = request.get("params", {})
        request = request | {"params": {names.get(k, k): v for k, v in given.items()}}
    before = cpu_seconds(server.process.pid)
    response = http.post(path, **request)
    assert cpu_seconds(server.process.pid) - before < 1
    problem_of(response, status, name)
    assert http.post("/predict", content=PICTURE).status_code == 200
    assert server.process.poll() is None


def test_wrong_paths_and_methods_are_problems_too(http: httpx.Client) -> None:
    problem_of(http.get("/nowhere"), 404, "not-found")
    response = http.get("/predict")
    assert "It takes POST." in problem_of(response, 405, "method-not-allowed")["detail"]
    assert response.headers["allow"] == "POST"


def test_logs_are_json_without_pictures_or_answers(start_server: StartServer, photo: bytes) -> None:
    with start_server() as quiet:
        response = httpx.post(f"{quiet.url}/predict", files={"image": ("secret-name.jpg", photo)})
        assert response.status_code == 200
        httpx.post(f"{quiet.url}/predict?model=secret-query", content=b"secret-body")
        form = {"content-type": "multipart/form-data; boundary=B"}
        assert httpx.post(f"{quiet.url}/predict", content=b"Z", headers=form).status_code == 400
        httpx.get(f"{quiet.url}/{'x' * 10_000}")
        quiet.stop()
        lines = [line for line in quiet.log.read_text().splitlines() if line.startswith("{")]
        log = [json.loads(line) for line in lines]
    requests = [line for line in log if line["event"] == "request"]
    assert [line["status"] for line in requests if line["path"] == "/predict"] == [200, 404, 400]
    assert max(map(len, lines)) < 1000  # however long a path is
    assert f"got {ord('Z')}" not in quiet.log.read_text()  # by which the parser tells of a body
    assert response.headers["x-request-id"] in {line["request_id"] for line in requests}
    text = quiet.log.read_text()
    assert "secret" not in text
    assert not any(emotion in text for emotion in EMOTIONS)
    assert base64.b64encode(photo[:30]).decode() not in text


def test_overload_is_refused_at_once_and_passes(start_server: StartServer, photo: bytes) -> None:
    with start_server(threads=1, max_waiting=2, deadline_seconds=60) as small:

        async def storm() -> list[httpx.Response]:
            limits = httpx.Limits(max_connections=40)
            async with httpx.AsyncClient(base_url=small.url, timeout=60, limits=limits) as client:
                return await asyncio.gather(
                    *(client.post("/compare?repeats=50", content=photo) for _ in range(40))
                )

        responses = asyncio.run(storm())
        refused = [r for r in responses if r.status_code != 200]
        assert 0 < len(refused) < 40
        for response in refused:
            problem_of(response, 503, "overloaded")
            assert int(response.headers["retry-after"]) >= 1
        assert httpx.post(f"{small.url}/predict", content=photo).status_code == 200
        lines = [line for line in events(small, "request") if line.get("problem") == "overloaded"]
        assert [line["status"] for line in lines] == [503] * len(refused)


def test_a_passed_deadline_is_said(start_server: StartServer, photo: bytes) -> None:
    with start_server(deadline_seconds=0.005) as hasty:
        problem_of(httpx.post(f"{hasty.url}/compare", content=photo), 504, "deadline-passed")


def test_limits_are_settings(start_server: StartServer, photo: bytes) -> None:
    with start_server(max_body_bytes=len(photo), max_pixels=512 * 512 - 1) as strict:
        url = f"{strict.url}/predict"
        problem_of(httpx.post(url, content=photo), 413, "image-too-large")
        problem_of(httpx.post(url, content=photo + b"x"), 413, "body-too-large")


def test_work_that_nobody_waits_for_ends(start_server: StartServer, photo: bytes) -> None:
    path = "/explain?model=vgg16&grid=8"

    def alone(server: Server) -> tuple[float, float]:
        start, before = time.monotonic(), cpu_seconds(server.process.pid)
        assert httpx.post(f"{server.url}{path}", content=photo, timeout=60).status_code == 200
        return time.monotonic() - start, cpu_seconds(server.process.pid) - before

    with start_server(threads=1, deadline_seconds=60) as patient:
        whole, computed = min(alone(patient) for _ in range(2))
    with start_server(threads=1, deadline_seconds=whole / 10) as hasty:
        before = cpu_seconds(hasty.process.pid)
        problem_of(httpx.post(f"{hasty.url}{path}", content=photo), 504, "deadline-passed")
        while sample(hasty.url, "emotion_admitted_requests"):
            time.sleep(0.01)
        assert cpu_seconds(hasty.process.pid) - before < computed / 2


def test_a_refused_request_leaves_nothing_unawaited() -> None:
    engine = Engine(threads=1, max_waiting=0, deadline_seconds=10)
    release = threading.Event()

    async def gone() -> None:
        await asyncio.Event().wait()

    async def fill_and_ask() -> None:
        first = asyncio.create_task(engine.run(lambda check: release.wait(10), gone))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await engine.run(lambda check: None, gone)
        release.set()
        assert (await first)[0]

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        asyncio.run(fill_and_ask())
        gc.collect()
    engine.close()
    assert not said


def test_what_would_come_too_late_is_refused_though_there_is_room() -> None:
    engine = Engine(threads=1, max_waiting=500, deadline_seconds=1)

    async def ask() -> list[object]:
        for _ in range(30):  # so that the engine knows what to expect
            await engine.run(lambda check: time.sleep(0.02))
        work = [engine.run(lambda check: time.sleep(0.02)) for _ in range(200)]
        return await asyncio.gather(*work, return_exceptions=True)

    answers = asyncio.run(ask())
    engine.close()
    refused = [answer for answer in answers if isinstance(answer, OverloadedError)]
    late = [answer for answer in answers if isinstance(answer, DeadlineError)]
    assert len(refused) >= 150  # 0.8 seconds are 40 times 0.02
    assert len(answers) - len(refused) - len(late) >= 5
    assert len(late) <= 20, "what was let in is for the most part answered in time"


def test_ready_says_no_where_nothing_can_be_served(
    start_server: StartServer, photo: bytes, store: Path
) -> None:
    for file in store.rglob("*.tflite"):
        file.write_bytes(b"damaged")
    with start_server(store=store, ready=503) as broken:
        assert httpx.post(f"{broken.url}/predict", content=photo).status_code == 503
        ready = httpx.get(f"{broken.url}/readyz")
        assert ready.status_code == 503
        assert ready.json()["status"] == "unavailable"


def test_one_damaged_artifact_leaves_the_service_ready_where_nothing_else_is_loaded_yet(
    start_server: StartServer, photo: bytes, store: Path
) -> None:
    (store / ModelStore(store).record("mobilenet", "int8").file).write_bytes(b"damaged")
    with start_server(store=store, preload="none") as lame:
        assert httpx.post(f"{lame.url}/predict", content=photo).status_code == 503
        ready = httpx.get(f"{lame.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")


def test_a_damaged_detector_leaves_the_service_ready(
    start_server: StartServer, photo: bytes, store: Path
) -> None:
    fastest = store / ModelStore(store).detectors[0].file
    content = fastest.read_bytes()
    fastest.write_bytes(content + b"x")
    with start_server(store=store, preload="none") as lame:
        ready = httpx.get(f"{lame.url}/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        answer = httpx.post(f"{lame.url}/predict", content=photo).json()
        assert answer["detector"] == ready.json()["detector"] != "res10-ssd-litert-int8"


def test_a_damaged_artifact_takes_out_itself_alone(
    start_server: StartServer, photo: bytes, store: Path
) -> None:
    (store / ModelStore(store).record("mobilenet", "int8").file).write_bytes(b"damaged")
    with start_server(store=store) as lame:
        ready = httpx.get(f"{lame.url}/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert "is damaged" in ready.json()["unavailable"]["mobilenet/int8"]
        bad = httpx.post(f"{lame.url}/predict?precision=int8", content=photo)
        problem_of(bad, 503, "artifact-unavailable")
        assert str(store) not in ready.text + bad.text
        good = httpx.post(f"{lame.url}/predict?precision=float16", content=photo)
        assert good.status_code == 200
    assert str(store / ModelStore(store).record("mobilenet", "int8").file) in lame.log.read_text()
    assert '"artifact unavailable"' in lame.log.read_text()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"store": "/nowhere"}, "error: No model store: /nowhere"),
        ({"store": "/nowhere", "workers": 2}, "error: No model store: /nowhere"),
        ({"preload": "mobilnet/int8"}, "There is no artifact mobilnet/int8. There are: mobilenet"),
        ({"workers": 0}, "error: EMOTION_WORKERS=0: Input should be greater than"),
        ({"threads": "cores"}, "error: EMOTION_THREADS=cores: Input should be a valid integer"),
        ({"deadline_seconds": "inf"}, "error: EMOTION_DEADLINE_SECONDS=inf"),
        ({"detector": "caffe", "detector_dir": "/nowhere"}, "error: /nowhere/deploy.prototxt"),
    ],
)
def test_a_wrong_setting_ends_the_service_with_a_reason(
    start_server: StartServer, setting: dict[str, object], reason: str
) -> None:
    with pytest.raises(RuntimeError) as failed, start_server(**setting):
        pass
    assert reason in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_a_port_that_is_taken_is_refused_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused_start(EMOTION_PORT=port)
    assert said.startswith(f"error: EMOTION_PORT={port}: Address already in use. Choose another")


def test_lazy_loading_and_several_workers(start_server: StartServer, photo: bytes) -> None:
    with start_server(preload="none", workers=2) as lazy:
        assert httpx.get(f"{lazy.url}/readyz").json()["artifacts"] == []
        for _ in range(6):
            assert httpx.post(f"{lazy.url}/predict", content=photo).status_code == 200
    with start_server(preload="none") as lazy:
        assert httpx.post(f"{lazy.url}/predict", content=photo).status_code == 200
        (loaded,) = httpx.get(f"{lazy.url}/readyz").json()["artifacts"]
        assert loaded.startswith("mobilenet/int8@")


def test_garbage_is_collected_once_the_service_has_started() -> None:
    code = """
import gc
from starlette.testclient import TestClient
import service.__main__, service.app
while_starting = gc.isenabled()
with TestClient(service.app.create_app()):
    started = gc.isenabled()
print(while_starting, started, gc.get_freeze_count() > 10_000)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False True True"


def test_sigterm_lets_accepted_requests_finish(start_server: StartServer, photo: bytes) -> None:
    with start_server(threads=1, deadline_seconds=60) as leaving:

        async def ask_then_stop() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=leaving.url, timeout=60) as client:
                asked = [
                    asyncio.create_task(client.post("/compare?repeats=50", content=photo))
                    for _ in range(4)
                ]
                await asyncio.sleep(0.3)
                leaving.process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*asked)

        assert [r.status_code for r in asyncio.run(ask_then_stop())] == [200] * 4
        # uvicorn drains, then ends by the signal it was sent
        assert leaving.process.wait(30) in (0, -signal.SIGTERM)
