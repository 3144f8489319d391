"""Faults that ``make chaos`` injects into a live service, and what must be said of each."""

import os
import random
import resource
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.server import ROOT, Server
from benchmarks.stores import publish_retrained
from benchmarks.wire import post
from emotion.store import MANIFEST, ModelStore

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
LOADED = ("mobilenet/float32", "mobilenet/float16", "mobilenet/int8")
JUMPS = ("+0", "+10d", "-10d", "+1h")
REFUSAL_SECONDS = 60  # on however busy a machine
ENOUGH_LOG = 300_000  # bytes: the limit on a file's growth must not hit the metrics' files


@dataclass
class Place:
    """What a fault may touch."""

    server: Server
    store: Path
    clock: Path  # libfaketime's file
    random: random.Random

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        pid = self.server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [
            int(p) for p in children if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()
        ]

    def connect(self) -> socket.socket:
        """Open a connection."""
        host, port = self.server.url.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=10)

    def artifact(self) -> Path:
        """Return the file of one artifact that is loaded, at random."""
        loaded = [r for r in ModelStore(self.store).records if r.name in LOADED]
        return self.store / self.random.choice(loaded).file


@contextmanager
def _put_back(path: Path) -> Iterator[None]:
    content = path.read_bytes()
    try:
        yield
    finally:
        path.write_bytes(content)


@contextmanager
def _damaged(place: Place) -> Iterator[None]:
    path = place.artifact()
    with _put_back(path):
        path.write_bytes(path.read_bytes()[:-1000])
        yield


@contextmanager
def _deleted(place: Place) -> Iterator[None]:
    path = place.artifact()
    with _put_back(path):
        path.unlink()
        yield


@contextmanager
def _swapped(place: Place) -> Iterator[None]:
    path, other = place.artifact(), place.artifact()
    while other == path:
        other = place.artifact()
    with _put_back(path):
        shutil.copy(other, path)
        yield


@contextmanager
def _half_written_manifest(place: Place) -> Iterator[None]:
    path = place.store / MANIFEST
    with _put_back(path):
        path.write_bytes(path.read_bytes()[: place.random.randrange(1, 2000)])
        yield


@contextmanager
def _published(place: Place) -> Iterator[None]:
    publish_retrained(place.store, place.random.randrange(2**32))
    yield


@contextmanager
def _worker_killed(place: Place) -> Iterator[None]:
    before = place.workers()
    os.kill(place.random.choice(before), signal.SIGKILL)
    yield
    while len(place.workers()) < len(before):
        time.sleep(0.1)


@contextmanager
def _limited(place: Place, kind: int, most: int) -> Iterator[None]:
    with ExitStack() as stack:
        for pid in place.workers():
            before = resource.prlimit(pid, kind)
            resource.prlimit(pid, kind, (most, before[1]))
            stack.callback(resource.prlimit, pid, kind, before)
        yield


@contextmanager
def _disk_full(place: Place) -> Iterator[None]:
    with httpx.Client(base_url=place.server.url, timeout=180) as http:
        while place.server.log.stat().st_size < ENOUGH_LOG:
            http.get("/none")
    with _limited(place, resource.RLIMIT_FSIZE, place.server.log.stat().st_size):
        time.sleep(2)
    yield  # what was lost is said when there is room again


@contextmanager
def _descriptors_used_up(place: Place) -> Iterator[None]:
    with _limited(place, resource.RLIMIT_NOFILE, 90), ExitStack() as crowd:
        sockets = [crowd.enter_context(place.connect()) for _ in range(250)]
        select.select(sockets, [], [], REFUSAL_SECONDS)  # connected is not yet accepted
        yield


@contextmanager
def _clock_jumped(place: Place) -> Iterator[None]:
    now = place.clock.read_text()
    place.clock.write_text(place.random.choice([to for to in JUMPS if to != now]))
    yield


@contextmanager
def _clients_left(place: Place) -> Iterator[None]:
    request = post("/compare?repeats=20", PHOTO)
    with ExitStack() as clients:
        for number in range(10):
            client = clients.enter_context(place.connect())
            client.sendall(request if number % 2 else request[:20_000])
        time.sleep(0.3)
    yield


@dataclass(frozen=True)
class Fault:
    """How it is done and undone, the log line it leaves, and the metric that grows."""

    inject: Callable[[Place], AbstractContextManager[None]]
    line: str
    metric: str
    labels: dict[str, str] = field(default_factory=dict)
    statuses: frozenset[str] = frozenset()  # that clients may get meanwhile
    loses: bool = False  # whether requests under way may be lost
    afterwards: bool = False  # whether it can only be told when it is over


_ON_DISK = ("artifact served from memory", "emotion_store_problems", {"problem": "damaged_on_disk"})
_RELOADS = "emotion_store_reloads_total"
FAULTS: dict[str, Fault] = {
    "artifact damaged": Fault(_damaged, *_ON_DISK),
    "artifact deleted": Fault(_deleted, *_ON_DISK),
    "artifact swapped": Fault(_swapped, *_ON_DISK),
    "manifest half-written": Fault(
        _half_written_manifest, "store refused", _RELOADS, {"outcome": "refused"}
    ),
    "newer store": Fault(_published, "store read", _RELOADS, {"outcome": "switched"}),
    "worker killed": Fault(
        _worker_killed, "worker was killed", "emotion_workers_killed_total", loses=True
    ),
    "disk full": Fault(
        _disk_full,
        "log lines could not be written",
        "emotion_log_lines_lost_total",
        afterwards=True,
    ),
    "descriptors used up": Fault(
        _descriptors_used_up,
        "connections refused",
        "emotion_connections_refused_total",
        statuses=frozenset({"503"}),
        afterwards=True,
    ),
    "clock jumped": Fault(_clock_jumped, "the clock jumped", "emotion_clock_jumps_total"),
    "clients left": Fault(
        _clients_left,
        '"status": 499',
        "emotion_requests_total",
        {"method": "POST", "route": "/compare", "status": "499"},
    ),
}
