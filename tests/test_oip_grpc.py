"""The Open Inference Protocol over gRPC: tritonclient, unchanged, at a live service."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import InferResponse
from tritonclient.utils import InferenceServerException

from benchmarks.server import free_port
from emotion import EMOTIONS, Classifier
from emotion.classifier import CHECKOUT_STORE
from emotion.records import ArtifactRecord
from emotion.store import ModelStore
from service.keys import main as make_keys
from service.oip.errors import BadInferenceError
from service.oip.tensors import join
from tests.clients import eventually, refused_start
from tests.conftest import ROOT, Server, StartServer
from tests.observed import events, sample
from tests.test_oip_clients import image_array, pixel_array
from tests.triton_grpc import messages, protobuf, triton

RECORDS = ModelStore(CHECKOUT_STORE).records
SERVICE = "/inference.GRPCInferenceService/"
Client = triton.InferenceServerClient


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def both(start_server: StartServer, port: int) -> Iterator[Server]:
    """The shipped store over HTTP and gRPC."""
    with start_server(store=CHECKOUT_STORE, grpc_port=port) as running:
        yield running


@pytest.fixture(scope="module")
def client(both: Server, port: int) -> Iterator[Client]:
    with Client(f"127.0.0.1:{port}") as connected:
        yield connected


def tensor(name: str, array: np.ndarray) -> triton.InferInput:
    datatype = "BYTES" if array.dtype == np.object_ else "UINT8"
    return triton.InferInput(name, list(array.shape), datatype).set_data_from_numpy(array)


def image(*images: bytes) -> list[triton.InferInput]:
    return [tensor("image", image_array(*images, binary=True))]


def call(port: int, name: str = "ModelInfer", **options: object) -> Callable[..., bytes]:
    """Call without a client: bytes in, bytes out."""
    method = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(f"{SERVICE}{name}")
    return lambda message: method(message, timeout=30, **options)


def refusal(code: str, send: Callable[..., object], *arguments: object, **options: object) -> str:
    """Check how a call is refused and return what is said."""
    with pytest.raises((InferenceServerException, grpc.RpcError)) as caught:
        send(*arguments, **options)
    error = caught.value
    if isinstance(error, InferenceServerException):
        status, said = error.status(), error.message()
    else:
        status, said = str(error.code()), error.details()
    assert status == f"StatusCode.{code}", said
    assert len(said) > 25
    assert "Traceback" not in said
    return str(said)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_tritonclient_gets_the_librarys_answer_bit_for_bit(
    client: Client, both: Server, classifier: Classifier, photo: bytes, record: ArtifactRecord
) -> None:
    expected = classifier.predict(photo, record.model, record.precision).faces[0]
    pixels = pixel_array(classifier, record, photo)
    for inputs in (image(photo), [tensor("pixels", pixels)]):
        for version in (record.precision, record.version):
            got = client.infer(record.model, inputs, model_version=version, request_id="mine")
            assert got.as_numpy("probabilities").tobytes() == expected.probabilities.tobytes()
            assert got.as_numpy("probabilities").shape == (1, 7)
            assert got.as_numpy("emotion").tolist() == [expected.emotion.encode()]
            answer = got.get_response(as_json=True)
            assert (answer["id"], answer["model_name"]) == ("mine", record.model)
            assert answer["model_version"] == record.version
            assert answer["parameters"]["precision"] == {"string_param": record.precision}
            assert "inference;dur=" in answer["parameters"]["server_timing"]["string_param"]
    body = {"name": "pixels", "shape": list(pixels.shape), "datatype": "UINT8"}
    path = f"/v2/models/{record.model}/versions/{record.precision}/infer"
    http = httpx.post(both.url + path, json={"inputs": [body | {"data": pixels.ravel().tolist()}]})
    over_http = np.array(http.json()["outputs"][0]["data"], np.float32)
    assert over_http.tobytes() == expected.probabilities.tobytes()


def test_tritonclient_learns_what_there_is(client: Client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    described = client.get_server_metadata()
    assert (described.name, described.version) == ("emotion-service", "0.1.0")
    for record in RECORDS:
        for version in ("", record.precision, record.version):
            assert client.is_model_ready(record.model, version)
            model = client.get_model_metadata(record.model, version)
            assert {record.precision, record.version} <= set(model.versions)
            shapes = {given.name: list(given.shape) for given in model.inputs}
            assert shapes == {"image": [-1], "pixels": [-1, *record.input.shape[1:]]}
            assert model.outputs[0].name == "probabilities"


def test_kserve_gets_the_same(
    both: Server, port: int, classifier: Classifier, photo: bytes
) -> None:
    given = InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(image_array(photo, binary=True), binary_data=True)

    async def ask() -> InferResponse:
        async with InferenceGRPCClient(f"127.0.0.1:{port}") as connected:
            assert await connected.is_server_ready()
            assert await connected.is_model_ready("mobilenet")
            return await connected.infer(InferRequest("mobilenet", [given], "mine"))

    answer = asyncio.run(ask())
    assert answer.id == "mine"
    expected = classifier.predict(photo).faces[0].probabilities
    assert answer.outputs[0].as_numpy().tobytes() == expected.tobytes()


def test_parameters_outputs_and_batches(
    client: Client, classifier: Classifier, photo: bytes, collage: bytes, no_face_photo: bytes
) -> None:
    got = client.infer(
        "mobilenet",
        image(collage, no_face_photo, photo),
        parameters={"faces": "all", "no_face": "whole", "detector": "compiled", "other": True},
    )
    assert got.as_numpy("image_index").tolist() == [0, 0, 0, 1, 2]
    face = classifier.predict(photo).faces[0].face
    assert face is not None
    box = face.box.clipped(512, 512)
    assert got.as_numpy("box")[4].tolist() == [box.x, box.y, box.width, box.height]
    best = triton.InferRequestedOutput("probabilities", class_count=2)
    got = client.infer("mobilenet", image(photo), outputs=[best])
    assert [output.name for output in got.get_response().outputs] == ["probabilities"]
    ((first, _),) = got.as_numpy("probabilities")
    assert first.decode().split(":")[1:] == [str(EMOTIONS.index("happy")), "happy"]


def request(shape: list[int], contents: dict[str, object], **more: object) -> bytes:
    name, datatype = ("pixels", "UINT8") if len(shape) > 1 else ("image", "BYTES")
    given = {"name": name, "datatype": datatype, "shape": shape, "contents": contents}
    return messages.ModelInferRequest(
        model_name="mobilenet", inputs=[given], **more
    ).SerializeToString()


def test_typed_contents_mean_the_same(
    client: Client, port: int, classifier: Classifier, photo: bytes
) -> None:
    record = ModelStore(CHECKOUT_STORE).record("mobilenet", "int8")
    pixels = pixel_array(classifier, record, photo)
    expected = classifier.predict(photo).faces[0].probabilities.tobytes()
    for asked in (
        request(list(pixels.shape), {"uint_contents": pixels.ravel().tolist()}),
        request([1], {"bytes_contents": [photo]}),
    ):
        answer = messages.ModelInferResponse.FromString(call(port)(asked))
        assert answer.raw_output_contents[0] == expected


BAD = {
    "no message": (b"\xff" * 20, "not a ModelInferRequest"),
    "endless number": (b"\x80" * 20_000, "not a ModelInferRequest"),
    "many parts": (b"\x2a\x00" * 20_000, "more than 10000 fields"),
    "many nested parts": (b"\x2a\xa0\x9c\x01" + b"\x22\x00" * 10_000, "more than 10000 fields"),
    "both": (request([1], {"bytes_contents": [b"x"]}, raw_input_contents=[b"x"]), "not both"),
    "raw of nothing": (request([1], {}, raw_input_contents=[b"", b""]), "2 elements for 1 inputs"),
    "no values": (request([1, 96, 96, 3], {}), "27648 bytes, 0 were sent"),
    "wrong values": (request([1, 96, 96, 3], {"uint_contents": [256]}), "from 0 to 255"),
    "many values": (request([1, 96, 96, 3], {"uint_contents": [7] * 900_000}), "More than 884736"),
    "wrong kind": (request([1, 96, 96, 3], {"fp32_contents": [7] * 27648}), "0 were sent"),
    "negative size": (request([-1], {}), "inputs.0.shape.0: "),
    "many dimensions": (request([1] * 2000, {}), "inputs.0.shape: "),
    "many inputs": (b"\x0a\x09mobilenet" + b"\x2a\x00" * 2000, "inputs: "),
    "unknown faces": (request([1], {}, parameters={"faces": {"int64_param": 1}}), "faces"),
    "empty parameter": (request([1], {}, parameters={"faces": {}}), "parameters.faces"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_request_is_told_what_is_wrong(both: Server, port: int, case: str) -> None:
    message, says = BAD[case]
    assert says in refusal("INVALID_ARGUMENT", call(port), message)


def test_errors_have_the_protocols_codes(
    client: Client, both: Server, port: int, photo: bytes, no_face_photo: bytes
) -> None:
    infer = client.infer
    said = refusal("INVALID_ARGUMENT", infer, "mobilenet", image(photo, no_face_photo))
    assert said.startswith("image[1]: No face was found")
    refusal("INVALID_ARGUMENT", infer, "mobilenet", image(b"no image"))
    assert "mobilenet" in refusal("NOT_FOUND", infer, "resnet", image(photo))
    refusal("NOT_FOUND", infer, "mobilenet", image(photo), model_version="int4")
    for asked in (("resnet",), ("mobilenet", "int4")):
        refusal("NOT_FOUND", client.get_model_metadata, *asked)
        assert client.is_model_ready(*asked) is False  # as the HTTP client says
    shared = tensor("image", image_array(photo, binary=True))
    shared.set_shared_memory("region", 100)
    assert "Shared memory" in refusal("INVALID_ARGUMENT", infer, "mobilenet", [shared])
    for ask in (
        client.get_inference_statistics,
        client.get_model_repository_index,
        client.get_system_shared_memory_status,
    ):
        assert "ModelInfer" in refusal("UNIMPLEMENTED", ask)
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    stream = channel.stream_stream(f"{SERVICE}ModelStreamInfer")
    refusal("UNIMPLEMENTED", lambda: list(stream(iter([b""]))))
    refusal("INVALID_ARGUMENT", channel.stream_unary(f"{SERVICE}ModelInfer"), iter([]))
    # a message that unpacks to more than it may be is not unpacked
    said = refusal("UNIMPLEMENTED", infer, "mobilenet", image(photo), compression_algorithm="gzip")
    assert "gzip" in said
    assert client.is_server_live()
    assert "Traceback" not in both.log.read_text()


def test_a_damaged_artifact_is_not_ready(start_server: StartServer, store: Path) -> None:
    (store / ModelStore(store).record("mobilenet", "int8").file).write_bytes(b"damaged")
    port = free_port()
    with (
        start_server(store=store, preload="none", grpc_port=port),
        Client(f"127.0.0.1:{port}") as client,
    ):
        assert client.is_model_ready("mobilenet", "int8") is False
        assert client.is_model_ready("mobilenet", "float16") is True


def test_calls_are_counted_and_logged_without_pictures_or_answers(
    client: Client, both: Server, photo: bytes, port: int
) -> None:
    def counted(route: str, status: int) -> float:
        labels = {"method": "gRPC", "route": route, "status": str(status)}
        return sample(both.url, "emotion_requests_total", **labels)

    cases = [(f"{SERVICE}ModelInfer", 200), (f"{SERVICE}ModelInfer", 404), ("unmatched", 501)]
    before = [counted(*case) for case in cases]
    faces = {"model": "mobilenet", "precision": "int8", "emotion": "happy"}
    seen = sample(both.url, "emotion_faces_total", **faces)
    asked = {"route": f"{SERVICE}ModelInfer", "model": "mobilenet", "precision": "int8"}
    requests = partial(sample, both.url, "emotion_artifact_requests_total", **asked)
    answered, refused = requests(status="200"), requests(status="415")
    name = "0c2ad2b0-9a5d-4d0e-8f0e-3b5d7a3f6c11"
    client.infer("mobilenet", image(photo), request_id="secret", headers={"x-request-id": name})
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    live = channel.unary_unary(f"{SERVICE}ServerLive")
    _, done = live.with_call(b"", metadata=(("x-request-id", name),))
    assert ("x-request-id", name) in [tuple(pair) for pair in done.trailing_metadata()]
    _, done = live.with_call(b"", metadata=(("x-request-id", name + "-" * 100),))
    assert len(dict(done.trailing_metadata())["x-request-id"]) == 32
    refusal("NOT_FOUND", client.infer, "secret-model", image(photo))
    refusal("INVALID_ARGUMENT", client.infer, "mobilenet", image(b"no picture"))
    refusal("UNIMPLEMENTED", call(port, "Other"), b"")
    eventually(lambda: [counted(*case) for case in cases] == [count + 1 for count in before])
    assert sample(both.url, "emotion_faces_total", **faces) == seen + 1
    assert (requests(status="200"), requests(status="415")) == (answered + 1, refused + 1)
    line, _ = [line for line in events(both, "request") if line["request_id"] == name]
    assert (line["method"], line["path"], line["status"]) == ("gRPC", f"{SERVICE}ModelInfer", 200)
    text = both.log.read_text()
    assert "secret" not in text
    assert "happy" not in text


def test_limits_keys_and_clients(
    start_server: StartServer, photo: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    make_keys(["alice", "bob"])
    printed = capsys.readouterr().out
    alice, bob = (line.split()[-1] for line in printed.splitlines()[:2])
    port = free_port()
    with (
        start_server(
            grpc_port=port,
            preload="none",
            api_keys=printed.split("EMOTION_API_KEYS=")[1].strip(),
            client_requests_per_minute=4,
            max_body_bytes=200_000,
            max_pixels=512 * 512 - 1,
            upload_seconds=0.5,
            max_connections=3,
        ) as server,
        Client(f"127.0.0.1:{port}") as client,
    ):
        for headers in (None, {"x-api-key": "x"}, {"authorization": f"Bearer {alice}x"}):
            said = refusal("UNAUTHENTICATED", client.get_server_metadata, headers=headers)
            assert "API key" in said
        a, b = {"authorization": f"Bearer {alice}"}, {"x-api-key": bob}
        infer = client.infer
        said = refusal("INVALID_ARGUMENT", infer, "mobilenet", image(photo), headers=a)
        assert "pixels" in said
        too_large = image(bytes(200_001))
        assert "200000" in refusal("RESOURCE_EXHAUSTED", infer, "mobilenet", too_large, headers=a)
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        slow = channel.stream_unary(f"{SERVICE}ModelInfer")
        stalled = threading.Event()
        late = (b"" for _ in iter(lambda: stalled.wait(20), True))
        said = refusal("DEADLINE_EXCEEDED", slow, late, metadata=tuple(a.items()), timeout=20)
        stalled.set()
        assert "within 0.5 seconds" in said
        assert client.get_server_metadata(headers=a)
        said = refusal("RESOURCE_EXHAUSTED", client.get_server_metadata, headers=a)
        assert "as many requests as you may" in said
        assert client.get_server_metadata(headers=b)
        # two connections are open
        others = [grpc.insecure_channel(f"127.0.0.1:{port}", [("n", n)]) for n in range(3)]
        connected = []
        for other in others:
            try:
                grpc.channel_ready_future(other).result(0.4)
                connected.append(other)
            except grpc.FutureTimeoutError:
                pass
        assert len(connected) == 1
        for other in others:
            other.close()
        server.stop()
        lines = [line for line in events(server, "request") if line["method"] == "gRPC"]
    assert {line.get("api_key") for line in lines} == {None, "alice", "bob"}
    assert alice not in server.log.read_text()


def test_overload_deadlines_and_clients_that_go(start_server: StartServer, photo: bytes) -> None:
    port = free_port()
    batch = messages.ModelInferRequest(
        model_name="mobilenet",
        inputs=[{"name": "image", "datatype": "BYTES", "shape": [32]}],
        raw_input_contents=[join([photo] * 32)],
        parameters={"detector": {"string_param": "caffe"}},  # slow on any machine
    ).SerializeToString()
    limits = {"threads": 1, "max_waiting": 1, "max_uploads": 2, "deadline_seconds": 0.3}

    async def ask(url: str) -> None:
        admitted = partial(sample, url, "emotion_admitted_requests")
        labels = {"method": "gRPC", "route": f"{SERVICE}ModelInfer", "status": "499"}
        abandoned = partial(sample, url, "emotion_requests_total", **labels)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            infer = channel.unary_unary(f"{SERVICE}ModelInfer")
            calls = [infer(batch) for _ in range(4)]
            errors = await asyncio.gather(*calls, return_exceptions=True)
            assert {error.code().name for error in errors} == {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
            assert any("send the request again later" in error.details() for error in errors)
            await asyncio.to_thread(eventually, lambda: admitted() == 0)
            gone = [infer(batch) for _ in range(2)]
            await asyncio.sleep(0.1)
            for call in gone:
                call.cancel()
            await asyncio.to_thread(eventually, lambda: abandoned() > 0)
            await asyncio.to_thread(eventually, lambda: admitted() == 0)
            live = channel.stream_unary(f"{SERVICE}ServerLive")
            leave = asyncio.Event()

            async def never() -> AsyncIterator[bytes]:
                await leave.wait()
                yield b""

            held = [live(never()) for _ in range(4)]
            await asyncio.sleep(0.2)
            with pytest.raises(grpc.aio.AioRpcError, match="limit exceeded") as caught:
                await live(never())
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            leave.set()
            assert await asyncio.gather(*held) == [b"\x08\x01"] * 4

    with start_server(grpc_port=port, preload="mobilenet/int8", **limits) as small:
        asyncio.run(ask(small.url))
        assert sample(small.url, "emotion_problems_total", problem="overloaded") > 0
        assert call(port, "ServerReady")(b"") == b"\x08\x01"
        assert "Traceback" not in small.log.read_text()


def test_sigterm_under_load_loses_nothing_that_was_accepted(
    start_server: StartServer, photo: bytes
) -> None:
    port = free_port()
    answered: list[bytes] = []
    refused: list[str] = []
    ready: list[bool] = []
    leave = threading.Event()
    asked = request([1], {"bytes_contents": [photo]})

    def work(number: int) -> None:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("n", number)])
        infer = channel.unary_unary(f"{SERVICE}ModelInfer")
        while not leave.is_set():
            try:
                answered.append(infer(asked))
            except grpc.RpcError as error:
                refused.append(error.code().name)  # type: ignore[attr-defined]
                time.sleep(0.05)

    settings = {"workers": 2, "deadline_seconds": 60, "drain_seconds": 0.5}
    with start_server(grpc_port=port, preload="mobilenet/int8", **settings) as server:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        with Client(f"127.0.0.1:{port}") as client:
            ready.append(client.is_server_ready())
            eventually(lambda: len(answered) > 20)
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: not client.is_server_ready())
            ready.append(client.is_server_live())
        assert server.process.wait(60) in (0, -signal.SIGTERM)
        leave.set()
        for thread in threads:
            thread.join(30)
    assert ready == [True, True]
    lines = [line for line in events(server, "request") if line["method"] == "gRPC"]
    assert {line["status"] for line in lines} == {200}
    infers = [line for line in lines if line["path"] == f"{SERVICE}ModelInfer"]
    assert len(infers) == len(answered)
    # who came as the port closed was not accepted
    assert set(refused) <= {"UNAVAILABLE", "CANCELLED"}
    assert "Traceback" not in server.log.read_text()


def test_both_ports_close_at_once_and_within_the_same_time(
    start_server: StartServer, photo: bytes
) -> None:
    """A stalled upload holds HTTP, a stalled call holds gRPC; a slow one is answered."""
    port = free_port()
    go_on, leave = threading.Event(), threading.Event()
    asked = request([1], {"bytes_contents": [photo]})

    def late(event: threading.Event) -> Iterator[bytes]:
        event.wait(60)
        yield asked

    limits = {"deadline_seconds": 2, "upload_seconds": 4, "drain_seconds": 0.5}
    with (
        start_server(grpc_port=port, preload="mobilenet/int8", **limits) as server,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as stalled,
    ):
        infer = channel.stream_unary(f"{SERVICE}ModelInfer")
        slow, held = (infer.future(late(event), timeout=60) for event in (go_on, leave))
        stalled.sendall(b"POST /predict HTTP/1.1\r\nHost: h\r\nContent-Type: image/png\r\n")
        stalled.sendall(b"Content-Length: 99\r\n\r\n")
        eventually(lambda: sample(server.url, "emotion_uploads") == 3)
        server.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        time.sleep(1)  # the ports are closed, what was accepted goes on
        assert server.process.poll() is None
        new = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(f"{SERVICE}ServerReady")
        for ask in (channel.unary_unary(f"{SERVICE}ServerReady"), new):
            with pytest.raises(grpc.RpcError) as refused:
                ask(b"", timeout=0.5)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/readyz")
        go_on.set()
        assert messages.ModelInferResponse.FromString(slow.result(20)).model_name == "mobilenet"
        server.process.wait(60)
        took = time.monotonic() - start
        leave.set()
        assert held.exception(20) is not None
    assert took < 0.5 + 4 + 2 + 5 + 2  # the last for a busy machine


def test_a_port_that_is_taken_is_refused_with_a_sentence(store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for workers in ("1", "2"):
            said = refused_start(
                EMOTION_GRPC_PORT=str(port),
                EMOTION_HOST="127.0.0.1",
                EMOTION_PORT=str(free_port()),
                EMOTION_STORE=str(store),
                EMOTION_WORKERS=workers,
            )
            assert said.startswith(f"error: EMOTION_GRPC_PORT={port}: Address already in use")


def test_without_the_extra_the_port_is_refused_with_a_sentence() -> None:
    code = """
import sys
sys.modules["grpc"] = None
from service.__main__ import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"EMOTION_GRPC_PORT": "9000", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: EMOTION_GRPC_PORT needs the extra grpc: pip install 'emotion-service[grpc]'.\n"
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(message: bytes) -> None:
    for start in (b"", b"\x0a\x09mobilenet\x2a\x10\x0a\x05image\x12\x05BYTES\x1a\x00"):
        try:
            decoded = protobuf.decode(messages.ModelInferRequest, start + message)
            protobuf.read(decoded, 1000)
        except BadInferenceError as error:
            assert str(error)
