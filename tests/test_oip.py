"""/v2 over HTTP: errors in the protocol's form, the service's limits, counts and logs."""

import asyncio
import base64
import json
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from emotion import EMOTIONS, Classifier
from emotion.classifier import CHECKOUT_STORE
from emotion.store import ModelStore
from service.oip.messages import HEADER
from tests.conftest import Server, StartServer
from tests.observed import sample, scrape
from tests.stores import edit_manifest

INFER = "/v2/models/mobilenet/infer"


def image(*pictures: bytes, **more: object) -> dict[str, object]:
    """Write a request for pictures."""
    data = [base64.b64encode(picture).decode() for picture in pictures]
    return one({"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}) | more


def one(tensor: dict[str, object]) -> dict[str, object]:
    return {"inputs": [tensor]}


def error_of(response: httpx.Response, status: int) -> str:
    """Check that a response is an error of the protocol and return what it says."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 25
    return str(answer["error"])


def pixels(**changes: object) -> dict[str, object]:
    tensor = {"name": "pixels", "shape": [1, 96, 96, 3], "datatype": "UINT8", "data": [7] * 27648}
    return one(tensor | changes)


BAD = {
    "no inputs": ({"id": "1"}, "inputs: Field required"),
    "empty inputs": ({"inputs": []}, "The inputs were: none"),
    "both inputs": (
        {"inputs": image(b"x")["inputs"] + pixels()["inputs"]},
        "The inputs were: image, pixels",
    ),
    "unknown input": (one({"name": "x", "shape": [1], "datatype": "BYTES"}), "inputs were: x"),
    "wrong datatype": (pixels(datatype="FP32"), "has the datatype UINT8, not FP32"),
    "wrong shape": (pixels(shape=[1, 48, 48, 3]), "has the shape [-1, 96, 96, 3]"),
    "no batch": (pixels(shape=[96, 96, 3]), "has the shape [-1, 96, 96, 3]"),
    "no shape": (pixels(shape=[]), "has the shape [-1, 96, 96, 3]"),
    "too few values": (pixels(data=[1]), "that is 27648 values"),
    "too large values": (pixels(data=[256] * 27648), "from 0 to 255"),
    "negative size": (pixels(shape=[-1, 96, 96, 3]), "greater than or equal to 0"),
    "huge size": (pixels(shape=[10**300, 96, 96, 3]), "inputs.0.shape.0: "),
    "no picture": (image(), "takes 1 to 32 at once, not 0"),
    "too many pictures": (image(*[b"x"] * 33), "takes 1 to 32 at once, not 33"),
    "no data": (one({"name": "image", "shape": [1], "datatype": "BYTES"}), "neither `data`"),
    "raw text": (
        one({"name": "image", "shape": [1], "datatype": "BYTES", "data": ["ÿØÿ"]}),
        "image[0] is not base64",
    ),
    "no text": (
        one({"name": "image", "shape": [1], "datatype": "BYTES", "data": [[255, 216]]}),
        "image: ",
    ),
    "binary without header": (
        pixels(data=None, parameters={"binary_data_size": 27648}),
        "0 bytes are left",
    ),
    "shared memory": (pixels(parameters={"shared_memory_region": "x"}), "Shared memory"),
    "unknown output": (pixels() | {"outputs": [{"name": "box"}]}, "There is no output box"),
    "output twice": (pixels() | {"outputs": [{"name": "emotion"}] * 2}, "more than once"),
    "eight classes": (
        pixels()
        | {"outputs": [{"name": "probabilities", "parameters": {"classification": 8}}]},
        "less than or equal to 7",
    ),
    "classified text": (
        pixels() | {"outputs": [{"name": "emotion", "parameters": {"classification": 1}}]},
        "Only the output probabilities",
    ),
    "unknown faces": (pixels() | {"parameters": {"faces": "some"}}, "parameters.faces"),
    "number as id": (pixels() | {"id": 7}, "id: Input should be a valid string"),
    "list": ([], "Input should be an object"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_request_is_told_what_is_wrong(http: httpx.Client, case: str) -> None:
    body, says = BAD[case]
    assert says in error_of(http.post(INFER, json=body), 400)


@pytest.mark.parametrize("header", ["", "-1", "+5", "1e3", "999999", "٣", "0", "9" * 5000])
def test_a_wrong_header_length_is_refused(http: httpx.Client, header: str) -> None:
    body = json.dumps(pixels()).encode()
    error_of(http.post(INFER, content=body, headers={HEADER: header.encode()}), 400)


def test_pictures_fail_as_for_predict_with_their_index(
    http: httpx.Client, photo: bytes, no_face_photo: bytes
) -> None:
    for bad, status in ((b"no image", 415), (photo[:3000], 400), (no_face_photo, 422), (b"", 400)):
        said = error_of(http.post(INFER, json=image(photo, bad)), status)
        assert said.startswith("image[1]: ")
    assert "mobilenet" in error_of(http.get("/v2/models/resnet"), 404)
    listed = error_of(http.post("/v2/models/mobilenet/versions/1/infer", json=pixels()), 404)
    for record in ModelStore(CHECKOUT_STORE).records:
        if record.model == "mobilenet":
            assert f"{record.precision} ({record.version})" in listed
    error_of(http.get("/v2/nowhere"), 404)
    error_of(http.get(INFER), 405)
    assert http.get("/v2nowhere").json()["type"].endswith("not-found")


def test_plain_json_needs_no_client(
    http: httpx.Client, classifier: Classifier, photo: bytes
) -> None:
    answer = http.post(INFER, json=image(photo, id="42"))
    assert answer.headers["content-type"] == "application/json"
    assert HEADER not in answer.headers
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    expected = classifier.predict(photo).faces[0]
    assert outputs["probabilities"] == expected.probabilities.tolist()
    assert outputs["emotion"] == ["happy"]
    assert answer.json()["id"] == "42"
    lines = base64.encodebytes(photo).decode()
    wrapped = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": [[lines]]}
    assert http.post(INFER, json=one(wrapped)).json()["outputs"] == answer.json()["outputs"]


def test_probes_and_documentation(http: httpx.Client) -> None:
    assert http.get("/v2").json()["name"] == http.get("/v2/").json()["name"] == "emotion-service"
    for probe in ("live", "ready"):
        assert http.get(f"/v2/health/{probe}").json()[probe] is True
        assert http.head(f"/v2/health/{probe}").status_code == 200
    ready = http.get("/v2/models/mobilenet/versions/int8/ready").json()
    assert ready == {"name": "mobilenet", "ready": True}
    paths = http.get("/openapi.json").json()["paths"]
    versioned = paths["/v2/models/{model}/versions/{version}/infer"]["post"]
    assert [p["name"] for p in versioned["parameters"] if p["in"] == "path"] == ["model", "version"]
    assert set(versioned["responses"]) >= {"200", "400", "404", "413", "415", "422", "503", "504"}


def test_limits_hold(start_server: StartServer, photo: bytes) -> None:
    with start_server(max_batch=2, max_pixels=512 * 512 - 1, max_body_bytes=200_000) as strict:
        url = f"{strict.url}{INFER}"
        assert "1 to 2 at once" in error_of(httpx.post(url, json=image(*[b"x"] * 3)), 400)
        assert "image[0]" in error_of(httpx.post(url, json=image(photo)), 413)
        error_of(httpx.post(url, content=bytes(200_001)), 413)
        many = pixels(data=[1] * 60_000)
        assert "more than 55296 values" in error_of(httpx.post(url, json=many), 400)
        batch = np.arange(2 * 27648, dtype=np.uint8).tolist()
        good = httpx.post(url, json=pixels(shape=[2, 96, 96, 3], data=batch))
        assert good.json()["outputs"][0]["shape"] == [2, 7]


def test_overload_and_deadlines(start_server: StartServer, photo: bytes) -> None:
    with start_server(threads=1, max_waiting=0, deadline_seconds=0.2) as small:

        async def storm() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=small.url, timeout=60) as client:
                work = image(*[photo] * 32)
                return await asyncio.gather(*(client.post(INFER, json=work) for _ in range(4)))

        answers = asyncio.run(storm())
        assert {answer.status_code for answer in answers} == {503, 504}
        for answer in answers:
            error_of(answer, answer.status_code)
            assert ("retry-after" in answer.headers) == (answer.status_code == 503)
        until = time.monotonic() + 5  # the abandoned batch ends at its deadline, not at its end
        while sample(small.url, "emotion_admitted_requests") and time.monotonic() < until:
            time.sleep(0.05)
        assert httpx.post(f"{small.url}{INFER}", json=pixels()).status_code == 200


def test_a_damaged_artifact_is_not_ready(
    start_server: StartServer, photo: bytes, store: Path
) -> None:
    (store / ModelStore(store).record("mobilenet", "int8").file).write_bytes(b"damaged")
    with start_server(store=store, preload="none") as lame:
        model = f"{lame.url}/v2/models/mobilenet"
        assert "is damaged" in error_of(httpx.get(f"{model}/ready"), 503)
        said = error_of(httpx.post(f"{model}/versions/int8/infer", json=image(photo)), 503)
        assert said.startswith("mobilenet/int8: ")
        assert httpx.get(f"{model}/versions/float16/ready").json()["ready"] is True
        assert httpx.post(f"{model}/versions/float16/infer", json=image(photo)).status_code == 200
        assert httpx.get(f"{lame.url}/v2/health/ready").json()["ready"] is True


def test_a_smaller_store_has_another_default(start_server: StartServer, store: Path) -> None:
    manifest = json.loads((store / "manifest.json").read_text())
    few = [a for a in manifest["artifacts"] if a["precision"] == "float16"]
    edit_manifest(store, artifacts=few)
    with start_server(store=store, preload="none") as small:
        described = httpx.get(f"{small.url}/v2/models/mobilenet").json()
        assert described["parameters"]["default_version"] == "float16"
        assert len(described["versions"]) == 2
        answer = httpx.post(f"{small.url}{INFER}", json=pixels()).json()
        assert answer["parameters"]["precision"] == "float16"


def test_counts_have_closed_labels_and_logs_no_answers(
    start_server: StartServer, photo: bytes, collage: bytes
) -> None:
    with start_server() as server:
        count(server, photo, collage)
        server.stop()
        text = server.log.read_text()
    assert "secret" not in text
    assert not any(emotion in text for emotion in EMOTIONS)
    assert base64.b64encode(photo[:30]).decode() not in text


def count(server: Server, photo: bytes, collage: bytes) -> None:
    def post(body: dict[str, object], path: str = INFER) -> int:
        return httpx.post(f"{server.url}{path}", json=body).status_code

    assert post(image(photo, collage, parameters={"faces": "all"}, id="secret-id")) == 200
    assert post(pixels(shape=[2, 96, 96, 3], data=[9] * 2 * 27648)) == 200
    assert post(image(photo, no="secret-key"), "/v2/models/other-model/infer") == 404
    assert post(image(photo), "/v2/models/mobilenet/versions/other-version/infer") == 404
    assert post(image(b"secret-body")) == 415
    counted = scrape(server.url)
    routes = {dict(labels).get("route") for name, labels in counted if "requests" in name}
    assert routes - {None} == {
        "/readyz",
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
    }
    assert "other-" not in repr(counted)
    assert sample(server.url, "emotion_stage_seconds_count", stage="decode") == 2
    assert sample(server.url, "emotion_stage_seconds_count", stage="total") == 2
    artifact = {"model": "mobilenet", "precision": "int8"}
    assert sample(server.url, "emotion_inference_seconds_count", **artifact) == 2
    faces = sum(v for (name, _), v in counted.items() if name == "emotion_faces_total")
    assert faces == 4 + 2
    assert sample(server.url, "emotion_problems_total", problem="unknown-artifact") == 2


def test_blanks_in_base64_cost_no_memory(start_server: StartServer) -> None:
    start = b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["'
    body = start + b"AA " * 3_000_000 + b'"]}]}'

    def peak() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    with start_server() as server:
        url = f"{server.url}/v2/models/mobilenet/infer"
        assert httpx.post(url, content=start + b"AAAA" * 99 + b'"]}]}').status_code == 415
        before = peak()
        assert httpx.post(url, content=body, timeout=30).status_code == 415
        assert peak() - before < 200_000_000
        for text in ("QQ==é", "Q", "Q\u00a0Q=="):
            wrong = httpx.post(url, content=start + text.encode() + b'"]}]}')
            assert wrong.status_code == 400
            assert "is not base64" in wrong.text
