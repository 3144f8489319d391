"""What no HTTP library would send: bytes on a socket to a live service."""

import asyncio
import hashlib
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from operator import itemgetter
from pathlib import Path

import httpx
import pytest

from benchmarks.server import ROOT
from emotion.classifier import CHECKOUT_STORE
from tests.clients import eventually
from tests.conftest import Server, StartServer
from tests.observed import events, problem_of, sample
from tests.wire import address_of, converse, post

DROPPED = "emotion_connections_dropped_total"


def test_a_lying_content_length_is_cut_off(server: Server) -> None:
    answer = asyncio.run(converse(server, post("image/png", 99999999999), bytes(100_000)))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body-too-large" in answer


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_refusal_reaches_a_client_that_is_still_sending(server: Server, kind: str) -> None:
    head = post(kind, 15_000_000, "Connection: close")
    answer = asyncio.run(converse(server, head, *[bytes(1_000_000)] * 15))
    assert answer.startswith(b"HTTP/1.1 415")
    assert b"unsupported-body" in answer


@pytest.mark.parametrize("charset", ["punycode", "undefined", "unicode_escape", "cp037", "x"])
def test_a_forms_charset_is_not_trusted(server: Server, photo: bytes, charset: str) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n'
        + photo
        + b"\r\n--b--\r\n"
    )
    head = post(f"multipart/form-data; boundary=b; charset={charset}", len(body))
    answer = asyncio.run(
        converse(server, head.replace(b"Host", b"Connection: close\r\nHost"), body)
    )
    assert answer.startswith(b"HTTP/1.1 200"), answer[-500:]


def test_a_pipelined_request_in_two_pieces_is_answered(server: Server) -> None:
    async def ask() -> bytes:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(post("image/png", 100_000) + bytes(100_000) + b"GET /livez HT")
        await asyncio.sleep(0.05)
        writer.write(b"TP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    answer = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 415")
    assert b"unsupported-format" in answer
    assert answer.endswith(b'{"status":"alive"}')


def test_an_answer_comes_in_one_piece(server: Server) -> None:
    with socket.create_connection(address_of(server)) as connection:
        for method in (b"GET", b"HEAD", b"GET"):
            connection.sendall(method + b" /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert (b'"' in body) == (method == b"GET")


def test_endless_trailers_are_cut_off(server: Server) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    before = server.resident_bytes
    line = b"X-Filler: " + b"x" * 60_000 + b"\r\n"
    asyncio.run(converse(server, head, *[line] * 500))  # it ends: the connection was closed
    assert server.resident_bytes - before < 20_000_000


def test_endless_headers_are_cut_off(server: Server) -> None:
    line = b"X-Filler: " + b"x" * 60_000
    before = server.resident_bytes
    answer = asyncio.run(converse(server, b"GET /livez HTTP/1.1\r\n", *[line] * 500))
    assert answer[:12] in (b"HTTP/1.1 400", b"")
    assert server.resident_bytes - before < 20_000_000


def test_an_aborted_upload_is_no_error_of_ours(start_server: StartServer) -> None:
    with start_server() as server:
        asyncio.run(converse(server, post("image/png", 100_000), b"abc", close=True))
        time.sleep(0.5)
        server.stop()
        text = server.log.read_text()
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if '"/predict"' in line]
    assert json.loads(line)["status"] == 499


def test_a_stalled_upload_ends(start_server: StartServer) -> None:
    with start_server(upload_seconds=0.5) as server:
        answer = asyncio.run(converse(server, post("image/png", 100_000), b"abc"))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"upload-timeout" in answer


def test_an_upload_that_dribbles_in_ends_as_soon(start_server: StartServer) -> None:
    with (
        start_server(upload_seconds=1, preload="none") as server,
        socket.create_connection(address_of(server)) as client,
    ):
        client.sendall(post("image/png", 100_000))
        client.settimeout(0.1)
        start, answer = time.monotonic(), b""
        while not answer and time.monotonic() - start < 10:
            with suppress(OSError):
                client.sendall(b"x")
            with suppress(TimeoutError):
                answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408")
        assert time.monotonic() - start < 5


def test_a_refusal_waits_for_no_body_and_the_connection_goes_on(
    start_server: StartServer, photo: bytes
) -> None:
    """One upload is all that there is room for, so the next is refused before its body is read."""
    body = bytes(5_000_000)

    async def ask() -> None:
        host, port = server.url.removeprefix("http://").split(":")
        _, first = await asyncio.open_connection(host, int(port))
        first.write(post("image/jpeg", len(photo)) + photo[:100])
        while not sample(server.url, "emotion_uploads"):
            await asyncio.sleep(0.02)
        reader, writer = await asyncio.open_connection(host, int(port))
        waited = []
        for part in (body[:100], body[:200], body[:300], body):  # the last is there already
            start = time.perf_counter()
            writer.write(post("image/jpeg", len(body)) + part)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            waited.append(time.perf_counter() - start)
            assert head.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in head.lower()
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            writer.write(body[len(part) :])
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b'{"status":"alive"}')
        assert min(waited[:-1]) < 0.3  # 0.5 is how long a body is waited for that must be taken in
        for stream in (first, writer):
            stream.close()

    with start_server(max_uploads=1, preload="none") as server:
        asyncio.run(ask())


async def heard(server: Server, head: bytes) -> tuple[bytes, float]:
    """Send a head alone; return that of the answer, and the seconds until it came."""
    reader, writer = await asyncio.open_connection(*address_of(server))
    start = time.perf_counter()
    writer.write(head)
    try:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        return answer, time.perf_counter() - start
    finally:
        writer.close()


def test_a_full_service_looks_at_neither_keys_nor_parameters_nor_bodies(
    start_server: StartServer, photo: bytes
) -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    settings = {"threads": 1, "max_waiting": 0, "deadline_seconds": 60, "store": CHECKOUT_STORE}
    keys = {"api_keys": f"somebody:{digest}", "metrics_open": True}
    infer = "/v2/models/mobilenet/infer"
    with start_server(**settings, **keys) as full, ThreadPoolExecutor(1) as beside:
        long = beside.submit(
            httpx.post,
            f"{full.url}/compare?models=vgg16&precisions=float32&repeats=40",
            content=photo,
            headers={"X-API-Key": "secret"},
            timeout=60,
        )
        eventually(lambda: sample(full.url, "emotion_admitted_requests") == 1)
        problem_of(httpx.post(f"{full.url}/predict?model=x", content=photo), 503, "overloaded")
        error = httpx.post(f"{full.url}{infer}", json={})
        assert error.status_code == 503
        assert error.json().keys() == {"error"}
        assert error.headers["retry-after"] == "1"
        known = b"Content-Length: 5000000"
        for head, ends in (
            (post("image/jpeg", 5_000_000), False),
            (post("image/jpeg", 5_000_000, "Expect: 100-continue"), True),
            (post("image/jpeg", 5_000_000, "Connection: close"), True),
            (post("image/jpeg", 99_999_999_999), True),
            (post("image/jpeg", 5_000_000).replace(known, b"Transfer-Encoding: chunked"), True),
        ):
            answer, waited = min(
                (asyncio.run(heard(full, head)) for _ in range(3)), key=itemgetter(1)
            )
            assert waited < 0.4  # 0.5 is how long a body is waited for
            assert answer.startswith(b"HTTP/1.1 503")
            assert (b"connection: close" in answer.lower()) == ends
        closing = post("image/jpeg", 5_000_000, "Connection: close")
        assert asyncio.run(converse(full, closing, bytes(5_000_000))).startswith(b"HTTP/1.1 503")
        assert not long.done()
        assert long.result().status_code == 200
        assert 0 < len(events(full, "overloaded")) < 18  # which is how many were refused


@pytest.mark.parametrize(
    ("settings", "length", "status"),
    [
        ({"api_keys": f"somebody:{'0' * 64}"}, 5_000, 401),
        ({"max_body_bytes": 1000}, 5_000, 413),
        ({"client_requests_per_minute": 1}, 5_000, 429),
    ],
)
def test_who_asks_before_sending_is_refused_without_being_asked_for_the_body(
    start_server: StartServer, settings: dict[str, object], length: int, status: int
) -> None:
    head = post("image/jpeg", length, "Expect: 100-continue")
    with start_server(preload="none", **settings) as server:
        httpx.post(f"{server.url}/predict")  # the one request of that minute
        start = time.perf_counter()
        answer = asyncio.run(converse(server, head))
        assert time.perf_counter() - start < 0.4  # 0.5 is how long a body is waited for
    assert answer.startswith(f"HTTP/1.1 {status}".encode())
    assert b"connection: close" in answer.lower()
    assert b"100 Continue" not in answer


def test_who_asks_before_sending_is_told_to_go_on(server: Server, photo: bytes) -> None:
    head = post("image/jpeg", len(photo), "Expect: 100-continue", "Connection: close")

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(*address_of(server))
        writer.write(head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(photo)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    assert asyncio.run(ask()).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_bounded_in_number(start_server: StartServer) -> None:
    flood = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000
    with start_server(preload="none") as server:
        httpx.get(f"{server.url}/models")
        before = server.resident_bytes
        for _ in range(5):
            with socket.create_connection(address_of(server)) as client:
                client.settimeout(1)
                with suppress(OSError):  # it is cut off
                    for _ in range(8):
                        client.sendall(flood)
        assert httpx.get(f"{server.url}/livez", timeout=1).status_code == 200
        assert server.resident_bytes - before < 20_000_000
        few = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 15
        last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = asyncio.run(converse(server, few + last))
        assert answer.count(b"HTTP/1.1 200") == 16


def test_what_is_pipelined_behind_a_slow_request_is_bounded_in_bytes(
    start_server: StartServer, photo: bytes
) -> None:
    quick = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 15
    slow = post("image/jpeg", len(photo)).replace(b"/predict", b"/compare?repeats=20") + photo
    behind = (post("image/png", 250_000) + bytes(250_000)) * 12
    with start_server(threads=1, deadline_seconds=3) as server, ExitStack() as clients:
        httpx.post(f"{server.url}/predict", content=photo)
        before = server.resident_bytes
        sockets = [
            clients.enter_context(socket.create_connection(address_of(server))) for _ in range(20)
        ]
        for client in sockets:
            client.setblocking(False)
        for data in [quick + slow + behind, *[behind] * 3]:
            for client in sockets:
                with suppress(BlockingIOError):
                    client.send(data)
            time.sleep(0.1)
        assert server.resident_bytes - before < 50_000_000
        assert httpx.get(f"{server.url}/livez", timeout=5).status_code == 200


@pytest.mark.parametrize("offer", ["h2c", "websocket"])
def test_an_offer_of_another_protocol_changes_nothing(
    server: Server, photo: bytes, offer: str
) -> None:
    more = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {offer}", "HTTP2-Settings: AAAA")
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    async def ask(*parts: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*address_of(server))
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.05)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer

    head = post("image/jpeg", len(photo), *more)
    split = (head[:40], head[40:], photo + last)
    for parts in ((head, photo, last), (head + photo + last,), split):
        answer = asyncio.run(ask(*parts))
        assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
        assert answer.count(b"HTTP/1.1 ") == 2
        assert b'"emotion":"happy"' in answer
        assert answer.endswith(b'{"status":"alive"}')
    smuggled = b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = asyncio.run(ask(post("image/png", len(smuggled), *more), smuggled, last))
    assert answer.startswith(b"HTTP/1.1 415")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"mobilenet" not in answer


def test_a_tunnel_is_refused(server: Server) -> None:
    answer = asyncio.run(converse(server, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / H"))
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_websocket_is_a_request_like_others_and_its_query_is_not_logged(
    start_server: StartServer,
) -> None:
    head = (
        b"GET /predict?patient=John HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with start_server(preload="none") as server:
        answer = asyncio.run(converse(server, head))
        assert answer.startswith(b"HTTP/1.1 405")
        counted = {"method": "GET", "route": "/predict", "status": "405"}
        assert sample(server.url, "emotion_requests_total", **counted) == 1
        server.stop()
        text = server.log.read_text()
    assert "John" not in text
    assert "127.0.0.1" not in text.replace("http://127.0.0.1", "")
    assert "WebSocket" not in text


def test_a_client_that_goes_with_requests_pipelined_is_no_error_of_ours(
    start_server: StartServer, photo: bytes
) -> None:
    request = post("image/jpeg", len(photo)) + photo
    with start_server(threads=1) as server:
        for _ in range(10):
            with socket.create_connection(address_of(server)) as client:
                client.sendall(request * 3)
                time.sleep(0.005)
        eventually(lambda: sample(server.url, "emotion_admitted_requests") == 0)
        time.sleep(0.3)
        server.stop()
        text = server.log.read_text()
    assert "Traceback" not in text
    assert "Exception" not in text


def hurry(folder: Path, monkeypatch: pytest.MonkeyPatch, patience: str) -> None:
    """Let the services that start from here on wait 0.3 seconds where they would wait 30."""
    (folder / "sitecustomize.py").write_text(
        f"import service.protocol\nservice.protocol.{patience} = 0.3\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")


def test_a_head_that_dribbles_in_is_not_waited_for(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(tmp_path, monkeypatch, "HEAD_SECONDS")
    with (
        start_server(preload="none") as server,
        socket.create_connection(address_of(server)) as client,
    ):
        client.settimeout(5)
        start = time.monotonic()
        with suppress(ConnectionError):
            for byte in b"GET /livez HTTP/1.1\r\nHost: " + b"x" * 1000:
                client.sendall(bytes([byte]))
                time.sleep(0.01)
        assert time.monotonic() - start < 5
        assert sample(server.url, DROPPED, waiting_for="head") >= 1


def test_answers_that_nobody_reads_are_dropped(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(tmp_path, monkeypatch, "UNREAD_SECONDS")
    bundle = b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
    with start_server(preload="none") as server, ExitStack() as clients:
        address = address_of(server)
        idle, slow = (clients.enter_context(socket.create_connection(address)) for _ in "12")
        for client in (idle, slow):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.settimeout(5)
            client.sendall(bundle * 8)
        start = time.monotonic()
        took = 0
        while time.monotonic() - start < 1.5:  # slowly, but it reads
            took += len(slow.recv(300_000))
            time.sleep(0.05)
        assert took > 500_000
        assert slow.recv(300_000)
        left = 0  # what the kernel had taken for it
        with suppress(ConnectionResetError):
            while data := idle.recv(1_000_000):
                left += len(data)
        assert sample(server.url, DROPPED, waiting_for="reader") >= 1  # the other one, too, by now
        line = events(server, "answers not taken")[0]
        assert line["level"] == "warning"
    assert left < 8 * 1_000_000  # of 1.4 MB each


def test_answers_that_nobody_reads_share_their_memory(start_server: StartServer) -> None:
    bundle = b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
    with start_server(preload="none") as server, ExitStack() as clients:
        httpx.get(f"{server.url}/swagger/swagger-ui-bundle.js").raise_for_status()
        before = server.resident_bytes
        for _ in range(60):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address_of(server))
            client.sendall(bundle)
        asked = {"route": "/swagger/{name}", "method": "GET", "status": "200"}
        time.sleep(1)
        assert sample(server.url, "emotion_requests_total", **asked) >= 1
        assert server.resident_bytes - before < 30_000_000  # 60 of them would be 100 MB
