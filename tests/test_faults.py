"""What goes wrong around a service, done to a live one: it says so, and goes on."""

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.server import free_port, serving
from emotion.classifier import CHECKOUT_STORE
from service.descriptors import descriptors_in_use, most_connections
from tests.clients import eventually, traffic
from tests.conftest import Server, StartServer
from tests.observed import entries, events, sample
from tests.wire import address_of, post

STARTED = "Application startup complete."
REFUSED = "emotion_store_reloads_total"
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def workers_of(server: Server) -> list[int]:
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(p) for p in children if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def both_have_started(server: Server) -> None:
    """Wait for both workers; /readyz is one's answer."""
    eventually(lambda: len(events(server, STARTED)) == 2, 60)


def answers(server: Server) -> list[dict[str, object]]:
    return [line for line in events(server, "request") if line["path"] == "/predict"]


@contextmanager
def limited(server: Server, kind: int, most: int) -> Iterator[None]:
    before = resource.prlimit(server.process.pid, kind)
    resource.prlimit(server.process.pid, kind, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, kind, before)


def test_a_killed_worker_loses_its_own_requests_alone(
    start_server: StartServer, photo: bytes
) -> None:
    clients = 6
    requests = [{"url": "/predict", "content": photo}]
    with start_server(workers=2, deadline_seconds=60) as server:
        before = workers_of(server)
        assert len(before) == 2
        with traffic(server.url, requests, clients) as seen:
            seen.await_more(20)
            os.kill(before[0], signal.SIGKILL)
            eventually(lambda: sample(server.url, "emotion_workers_killed_total") == 1, 60)
            seen.await_more(20)
        assert len(seen.errors) <= clients, seen.errors
        assert {response.status_code for response in seen.responses} == {200}
        after = workers_of(server)
        assert before[1] in after
        assert len(set(after) - set(before)) == 1
        (line,) = events(server, "worker was killed")
        assert line["pid"] == before[0]
        assert line["level"] == "error"
        # what the dead one was computing is not counted for ever
        eventually(lambda: sample(server.url, "emotion_admitted_requests") == 0)


def test_a_worker_that_replaces_a_killed_one_waits_for_a_store_it_can_serve(
    start_server: StartServer, store: Path, photo: bytes
) -> None:
    """Else uvicorn would end the other one too, which serves on from memory."""
    manifest = store / "manifest.json"
    sound = manifest.read_bytes()
    with start_server(store=store, workers=2, reload_seconds=0.2) as server:
        both_have_started(server)
        before = workers_of(server)
        manifest.write_bytes(sound[:100])
        eventually(lambda: sample(server.url, REFUSED, outcome="refused") > 0)
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: events(server, "worker cannot start yet"), 60)
        for _ in range(20):
            answer = httpx.post(f"{server.url}/predict", content=photo, timeout=60)
            assert answer.status_code == 200
        assert before[1] in workers_of(server)
        manifest.write_bytes(sound)
        eventually(lambda: len(events(server, STARTED)) == 3, 60)
        assert server.process.poll() is None
        assert len(events(server, "worker cannot start yet")) == 1


def test_a_worker_that_waits_for_a_store_ends_when_told(
    start_server: StartServer, store: Path
) -> None:
    with start_server(store=store, workers=2, reload_seconds=0) as server:
        both_have_started(server)
        (store / "manifest.json").write_bytes(b"{")
        os.kill(workers_of(server)[0], signal.SIGKILL)
        eventually(lambda: events(server, "worker cannot start yet"), 60)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_nothing_that_was_accepted(
    start_server: StartServer, photo: bytes, workers: int
) -> None:
    requests = [
        {"url": "/predict", "content": photo},
        {"url": "/predict", "files": {"image": photo}, "headers": {"connection": "close"}},
    ]
    with (
        start_server(workers=workers, deadline_seconds=60) as server,
        traffic(server.url, requests, 8) as seen,
    ):
        seen.await_more(20)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) in (0, -signal.SIGTERM)
    assert {response.status_code for response in seen.responses} == {200}
    assert len(answers(server)) == len(seen.responses)
    assert len(events(server, "draining")) == workers
    # who came too late was not accepted: refused, or closed before a byte was answered
    assert {type(error) for error in seen.errors} <= {
        httpx.ConnectError,
        httpx.ReadError,
        httpx.RemoteProtocolError,
        httpx.WriteError,
    }


def held(pid: int) -> tuple[int, int]:
    """Threads and file descriptors of a process."""
    process = Path(f"/proc/{pid}")
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))


def test_clients_that_go_leave_nothing_behind(start_server: StartServer, photo: bytes) -> None:
    address = lambda server: ("127.0.0.1", int(server.url.rpartition(":")[2]))  # noqa: E731
    slow = post("image/jpeg", len(photo)).replace(b"/predict", b"/compare?repeats=50") + photo
    with start_server(store=CHECKOUT_STORE, threads=1, max_uploads=80) as server:  # slow to ask
        for _ in range(3):
            httpx.post(f"{server.url}/compare", content=photo)
            httpx.get(f"{server.url}/readyz")
        before = held(server.process.pid)
        with ExitStack() as clients:
            for _ in range(40):  # mid-upload
                client = clients.enter_context(socket.create_connection(address(server)))
                client.sendall(post("image/jpeg", len(photo)) + photo[:20_000])
            eventually(lambda: sample(server.url, "emotion_uploads") == 40)
        eventually(lambda: sample(server.url, "emotion_uploads") == 0)
        with ExitStack() as clients:
            for _ in range(20):  # while waiting for an answer: one is computed, 19 wait
                client = clients.enter_context(socket.create_connection(address(server)))
                client.sendall(slow)
            eventually(lambda: sample(server.url, "emotion_admitted_requests") == 20)
            assert sample(server.url, "emotion_waiting_requests") == 19
        gone = {"method": "POST", "status": "499"}
        eventually(
            lambda: sample(server.url, "emotion_requests_total", route="/compare", **gone) == 20
        )
        assert sample(server.url, "emotion_requests_total", route="/predict", **gone) == 40
        eventually(lambda: sample(server.url, "emotion_admitted_requests") == 0)
        computed = sample(server.url, "emotion_stage_seconds_count", stage="total")
        assert computed == 3  # of the abandoned ones none was answered, 19 not even begun
        eventually(lambda: held(server.process.pid)[1] <= before[1])
        assert held(server.process.pid)[0] <= before[0] + 4
        assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200
        assert "Traceback" not in server.log.read_text()


def test_the_disk_is_not_needed(start_server: StartServer, photo: bytes) -> None:
    """No file of the process may grow, not even its log; uploads and answers go on."""
    big = photo + bytes(5_000_000)
    with start_server() as server:
        with limited(server, resource.RLIMIT_FSIZE, 0):
            for _ in range(5):
                answer = httpx.post(f"{server.url}/predict", files={"image": big})
                assert answer.status_code == 200, answer.text
            assert httpx.get(f"{server.url}/readyz").status_code == 200
            lost = sample(server.url, "emotion_log_lines_lost_total")
            assert lost >= 6
        httpx.get(f"{server.url}/livez")
        eventually(lambda: "could not be written" in server.log.read_text())
        (said,) = [e for e in entries(server) if "could not be written" in str(e["event"])]
        assert int(str(said["event"]).split()[0]) >= lost
        assert said["level"] == "error"
        assert "Traceback" not in server.log.read_text()


def test_a_log_on_a_full_disk_costs_neither_answers_nor_a_clean_end(photo: bytes) -> None:
    with serving(Path("/dev/full"), preload="mobilenet/int8") as server:
        assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200
        assert sample(server.url, "emotion_log_lines_lost_total") > 2
        assert server.stop() in (0, -signal.SIGTERM)


def test_a_log_that_nobody_reads_stops_no_request(tmp_path: Path) -> None:
    """As of a container whose log driver hangs: a pipe holds 64 KiB."""
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with serving(pipe, preload="none") as server, httpx.Client(base_url=server.url) as client:
        for _ in range(600):
            assert client.get("/nowhere").status_code == 404
        assert sample(server.url, "emotion_log_lines_lost_total") > 100
        os.set_blocking(reader, True)
        os.read(reader, 1 << 20)
        client.get("/nowhere")
        assert b"log lines could not be written" in os.read(reader, 1 << 20)
        os.set_blocking(reader, False)  # so that its end is no reader's death
        client.close()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) in (0, -signal.SIGTERM)
    os.close(reader)


def test_one_address_leaves_connections_for_others(start_server: StartServer) -> None:
    with start_server(max_connections=40, preload="none") as server, ExitStack() as crowd:
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        host, port = server.url.removeprefix("http://").split(":")
        sockets = [
            crowd.enter_context(socket.create_connection((host, int(port)))) for _ in range(100)
        ]
        sockets[-1].settimeout(5)
        assert sockets[-1].recv(4096).startswith(b"HTTP/1.1 503 ")
        with httpx.Client(base_url=server.url, transport=elsewhere) as other:
            assert other.get("/readyz").status_code == 200
            refused = "emotion_connections_refused_total 70.0"
            assert refused in other.get("/metrics").text
        crowd.close()
        eventually(lambda: httpx.get(f"{server.url}/livez").status_code == 200)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_waits_for_an_upload_that_had_begun(
    start_server: StartServer, photo: bytes, workers: int
) -> None:
    """Slowly: it takes longer than a request may be computed."""
    with start_server(workers=workers, deadline_seconds=1, upload_seconds=20) as server:
        with socket.create_connection(address_of(server)) as client:
            client.sendall(post("image/jpeg", len(photo), "Connection: close") + photo[:20_000])
            eventually(lambda: sample(server.url, "emotion_uploads") == 1)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(8)
            client.sendall(photo[20_000:])
            client.settimeout(10)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
        assert server.process.wait(30) in (0, -signal.SIGTERM)


@pytest.mark.parametrize("by", ["setting", "descriptors"])
def test_too_many_connections_are_refused_aloud_and_the_rest_served(
    start_server: StartServer, photo: bytes, by: str
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(start_server(max_connections=30 if by == "setting" else 1024))
        host, port = server.url.removeprefix("http://").split(":")
        if by == "descriptors":
            stack.enter_context(limited(server, resource.RLIMIT_NOFILE, 80))
        with httpx.Client(base_url=server.url) as early, ExitStack() as crowd:
            assert early.post("/predict", content=photo).status_code == 200
            sockets = []
            for _ in range(200):
                sockets.append(crowd.enter_context(socket.create_connection((host, int(port)))))
            late = sockets[-1]
            late.settimeout(5)
            refusal = late.recv(4096)
            assert refusal.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in refusal
            assert b"urn:problem-type:emotion:overloaded" in refusal
            assert early.post("/predict", content=photo).status_code == 200  # it was there first
            assert early.get("/readyz").json()["status"] == "ready"
        eventually(lambda: httpx.get(f"{server.url}/livez").status_code == 200)
        assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200
        assert sample(server.url, "emotion_connections_refused_total") >= 100
        lines = events(server, "connections refused")
        assert 1 <= len(lines) <= 20
        assert lines[0]["level"] == "warning"


def test_the_descriptors_of_what_is_loaded_are_no_connections() -> None:
    """Each artifact keeps two; where they were forgotten, the last clients would be cut off."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors_in_use()
    with ExitStack() as files:
        for _ in range(50):
            files.enter_context(open(os.devnull, "rb"))  # noqa: PTH123
        assert descriptors_in_use() == before + 50
        assert most_connections(10**9, before + 50, with_grpc=False) + before + 50 < most


@pytest.mark.parametrize("first", ["http", "grpc"])
def test_both_ports_fit_the_descriptors(first: str, tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    ports = {"http": free_port(), "grpc": free_port()}
    settings = {"port": ports["http"], "grpc_port": ports["grpc"], "preload": "none"}
    settings["max_connections"] = 1024
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (164, most[1]))  # the child's, too
        try:
            server = stack.enter_context(serving(tmp_path / "log", **settings))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, most)
        early = stack.enter_context(httpx.Client(base_url=server.url, timeout=5))
        assert early.get("/livez").status_code == 200
        for port in (ports[first], *ports.values()):
            for _ in range(150):
                client = stack.enter_context(socket.socket())
                client.settimeout(0.2)
                with suppress(OSError):
                    client.connect(("127.0.0.1", port))
        assert held(server.process.pid)[1] < 150
        assert early.get("/livez").status_code == 200
        assert "Too many open files" not in server.log.read_text()


def test_uploads_are_bounded_in_number(start_server: StartServer, photo: bytes) -> None:
    with start_server(max_uploads=3, preload="mobilenet/int8") as server, ExitStack() as clients:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        for _ in range(3):
            client = clients.enter_context(socket.create_connection(address))
            client.sendall(post("image/jpeg", len(photo)) + photo[:100])
        eventually(lambda: sample(server.url, "emotion_uploads") == 3)
        refused = httpx.post(f"{server.url}/predict", content=photo)
        assert refused.status_code == 503
        assert refused.json()["detail"].startswith("Too many uploads at once")
        clients.close()
        eventually(lambda: sample(server.url, "emotion_uploads") == 0)
        assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
def test_a_clock_that_jumps_moves_no_deadline(
    start_server: StartServer, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump = tmp_path / "jump"
    jump.write_text("+0")
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(jump))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    with start_server(
        threads=1, client_requests_per_minute=1000, reload_seconds=0.2, deadline_seconds=30
    ) as server:
        monkeypatch.undo()

        async def jump_under_way(to: str) -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                asked = [
                    asyncio.create_task(client.post("/compare?repeats=20", content=photo))
                    for _ in range(3)
                ]
                await asyncio.sleep(0.2)
                jump.write_text(to)
                return await asyncio.gather(*asked)

        for jumps, to in enumerate(("+10d", "-10d", "+0"), start=1):
            assert {r.status_code for r in asyncio.run(jump_under_way(to))} == {200}
            eventually(lambda n=jumps: len(events(server, "the clock jumped")) == n)
        assert sample(server.url, "emotion_clock_jumps_total") == 3
        stamps = [str(line["timestamp"])[:10] for line in events(server, "request")]
        assert len(set(stamps)) >= 3  # the clock did jump, and the log shows it
        seconds = sample(server.url, "emotion_request_seconds_sum", route="/compare")
        assert 0 < seconds < 300
        start = time.monotonic()
        assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200
        assert time.monotonic() - start < 10
