"""The scale profile without Docker: HAProxy with the same configuration before real services."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from benchmarks.server import Server, free_port
from tests.clients import eventually
from tests.conftest import ROOT, StartServer
from tests.observed import events, sample
from tests.test_compose import settings
from tests.tools import tool

CONFIGURATION = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
ADDRESSES = ("127.0.1.1", "127.0.1.2", "127.0.1.3")  # a network of replicas, all on loopback
CLIENTS = 6


@dataclass
class Stack:
    """Replicas behind their proxy, which tells of them in Prometheus's words."""

    url: str
    status: str
    replicas: list[Server]

    def healthy(self) -> int:
        """How many replicas the proxy holds for up."""
        try:
            (count,) = self._read("haproxy_backend_active_servers").values()
        except httpx.TransportError:
            return 0
        return count

    def served(self) -> dict[str, int]:
        """How many requests each replica has answered."""
        answers = self._read("haproxy_server_http_responses_total", 'code="2xx"')
        return {labels: count for labels, count in answers.items() if count}

    def _read(self, *words: str) -> dict[str, int]:
        lines = httpx.get(f"{self.status}/metrics").text.splitlines()
        chosen = [line for line in lines if line[0] != "#" and all(word in line for word in words)]
        return {name: int(value) for name, value in (line.rsplit(maxsplit=1) for line in chosen)}


@dataclass
class Call:
    """One request of a client: when it was on its way, and its status or what went wrong."""

    began: float
    ended: float
    outcome: int | str


@dataclass
class Load:
    """What clients that never rest have sent."""

    calls: list[Call] = field(default_factory=list)
    stopped: bool = False

    async def goes_on(self) -> None:
        """Return when every client has been answered some times more."""
        enough = len(self.calls) + 5 * CLIENTS
        while len(self.calls) < enough:
            await asyncio.sleep(0.05)


Events = Callable[[Load], Awaitable[None]]


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture
def stack(start_server: StartServer) -> Iterator[Stack]:
    """Three replicas, a name server that knows their addresses, and HAProxy."""
    haproxy, dnsmasq = tool("haproxy", "haproxy"), tool("dnsmasq", "dnsmasq-base")
    port, names, public, status = (free_port("0.0.0.0") for _ in range(4))
    with ExitStack() as parts:
        replicas = [
            parts.enter_context(
                start_server(
                    host=address,
                    port=port,
                    threads=1,
                    preload="mobilenet/int8",
                    drain_seconds=settings("replica").drain_seconds,
                )
            )
            for address in ADDRESSES
        ]
        records = [f"--host-record=replica,{address}" for address in ADDRESSES]
        where = ["--listen-address=127.0.0.1", "--bind-interfaces", f"--port={names}"]
        quiet = ["--no-resolv", "--no-hosts", "--user=", "--pid-file=", "--conf-file=/dev/null"]
        parts.enter_context(running(dnsmasq, "--keep-in-foreground", *where, *quiet, *records))
        parts.enter_context(
            running(
                haproxy,
                "-f",
                str(CONFIGURATION),
                REPLICAS=f"replica:{port}",
                DNS=f"127.0.0.1:{names}",
                BIND=f"127.0.0.1:{public}",
                STATUS=f"127.0.0.1:{status}",
            )
        )
        mine = Stack(f"http://127.0.0.1:{public}", f"http://127.0.0.1:{status}", replicas)
        eventually(lambda: mine.healthy() == len(ADDRESSES))
        yield mine


async def under_load(stack: Stack, photo: bytes, events: Events) -> Load:
    """Let clients predict without a pause while the events happen."""
    load = Load()

    async def client(http: httpx.AsyncClient) -> None:
        while not load.stopped:
            began = time.monotonic()
            try:
                answer = await http.post(
                    "/predict",
                    params={"model": "mobilenet", "precision": "int8"},
                    content=photo,
                    headers={"content-type": "image/jpeg"},
                )
                outcome: int | str = answer.status_code
            except httpx.TransportError as error:
                outcome = repr(error)
            load.calls.append(Call(began, time.monotonic(), outcome))

    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as http:
        clients = [asyncio.create_task(client(http)) for _ in range(CLIENTS)]
        await load.goes_on()
        await events(load)
        load.stopped = True
        await asyncio.gather(*clients)
    return load


def test_one_replica_is_killed_and_one_drained(stack: Stack, photo: bytes) -> None:
    killed, drained, last = (replica.process for replica in stack.replicas)
    dying = (0.0, 0.0)

    async def events(load: Load) -> None:
        nonlocal dying
        told = time.monotonic()
        killed.kill()
        await asyncio.to_thread(killed.wait)  # a busy machine takes its time: until then it listens
        dying = (told, time.monotonic())
        await load.goes_on()
        while stack.healthy() != 2:
            await asyncio.sleep(0.1)

        drained.send_signal(signal.SIGTERM)
        while stack.healthy() != 1:
            await asyncio.sleep(0.1)
        assert drained.poll() is None, "it must serve until the proxy has left"
        while drained.poll() is None:
            await asyncio.sleep(0.1)
        await load.goes_on()

    assert httpx.get(f"{stack.url}/metrics").status_code == 404  # each replica's own
    load = asyncio.run(under_load(stack, photo, events))
    assert len(stack.served()) == len(ADDRESSES)
    failed = [call for call in load.calls if call.outcome != 200]
    assert len(failed) <= CLIENTS
    for call in failed:  # on their way while the replica died, not before, not after
        assert call.began <= dying[1], call
        assert dying[0] <= call.ended, call
    assert "Traceback" not in stack.replicas[1].log.read_text()

    last.kill()
    eventually(lambda: stack.healthy() == 0)
    answer = httpx.get(f"{stack.url}/readyz")
    assert answer.status_code == answer.json()["status"] == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"


def test_a_service_that_does_not_end_is_killed(start_server: StartServer) -> None:
    with start_server(drain_seconds=60, preload="none") as server:
        with pytest.raises(subprocess.TimeoutExpired):
            server.stop(seconds=1)
        assert server.process.poll() == -signal.SIGKILL


def test_a_second_sigterm_is_not_held_back(start_server: StartServer) -> None:
    with start_server(drain_seconds=60) as server:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        assert httpx.get(f"{server.url}/readyz").json()["status"] == "draining"
        assert sample(server.url, "emotion_draining") == 1
        assert events(server, "draining")
        server.stop()
        assert "Application shutdown complete" in server.log.read_text()
