"""A real service process on loopback, for benchmarks and tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    seconds_to_ready: float

    def stop(self, seconds: float = 30) -> int:
        """Ask it to drain and end; returns its exit status, or kills it and raises."""
        return ended(self.process, seconds)

    @property
    def resident_bytes(self) -> int:
        """Memory in use by the process itself (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of this address that nothing listens on."""
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(log: Path, ready: object = 200, **settings: object) -> Iterator[Server]:
    """Start ``python -m service`` with these settings alone and stop it at the end.

    Args:
        log: file that receives the service's output.
        ready: status of /readyz to wait for.
        settings: fields of ``service.settings.Settings``; the environment's are ignored. The
            address is loopback and a free port unless they say otherwise.

    Raises:
        RuntimeError: it ended, or was not ready within three minutes; says what it printed.
    """
    settings = {"host": "127.0.0.1", "port": free_port()} | settings
    given = {f"EMOTION_{name.upper()}": str(value) for name, value in settings.items()}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EMOTION_")}
    started = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service"],
            cwd=ROOT,
            env=inherited | given,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    url = f"http://{settings['host']}:{settings['port']}"
    try:
        if not answers(f"{url}/readyz", process, ready):
            raise RuntimeError(f"the service did not start:\n{log.read_text()}")
        yield Server(url, process, log, time.perf_counter() - started)
    finally:
        if process.poll() is None:
            ended(process)


@contextmanager
def on_cores_of_their_own(log: Path, **settings: object) -> Iterator[Server]:
    """Start a service of one thread on one core and go to another, where there are two.

    So the clients, who stand for many, take none of its time.
    """
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        with serving(log, **({"threads": 1, "client_requests": 0} | settings)) as server:
            os.sched_setaffinity(0, {max(mine)})
            yield server
    finally:
        os.sched_setaffinity(0, mine)


def ended(process: subprocess.Popen[str], seconds: float = 30) -> int:
    """Ask a server to end; returns its exit status, or kills it and raises."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def answers(url: str, process: subprocess.Popen[str], status: object = 200) -> bool:
    """Wait until ``url`` answers with this status; False where ``process`` ends or takes long."""
    until = time.monotonic() + 180
    while time.monotonic() < until and process.poll() is None:
        if status_of(url) == status:
            return True
        time.sleep(0.02)
    return False


def status_of(url: str) -> int | None:
    """Ask with what costs next to nothing: who waits for a start shares the cores with it."""
    address = urlsplit(url)
    with (
        suppress(OSError, HTTPException),
        closing(HTTPConnection(address.hostname or "", address.port, timeout=60)) as connection,
    ):
        connection.request("GET", address.path)
        return connection.getresponse().status
    return None
