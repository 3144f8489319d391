"""A real service process on loopback, for benchmarks and tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    seconds_to_ready: float

    def stop(self) -> int:
        """Ask it to drain and end; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

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
def serving(log: Path, **settings: object) -> Iterator[Server]:
    """Start ``python -m service`` with these settings alone and stop it at the end.

    Args:
        log: file that receives the service's output.
        settings: fields of ``service.settings.Settings``; the environment's are ignored. The
            address is loopback and a free port unless they say otherwise.

    Raises:
        RuntimeError: it ended, or was not ready within a minute; says what it printed.
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
        _await_ready(url, process, log)
        yield Server(url, process, log, time.perf_counter() - started)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _await_ready(url: str, process: subprocess.Popen[str], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(f"{url}/readyz")
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"the service did not start:\n{log.read_text()}")
