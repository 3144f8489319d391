"""What no HTTP library would send: bytes on a socket to a live service."""

import asyncio
import json
import time

import pytest

from tests.conftest import Server, StartServer
from tests.observed import sample
from tests.wire import converse, post


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
