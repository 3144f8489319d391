"""A real S3 server, the wire to it that a test may cut, and small stores to push."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from benchmarks.server import free_port
from benchmarks.stores import MODEL, newer, retrained
from emotion.classifier import CHECKOUT_STORE
from emotion.remote import RemoteStore
from emotion.store import ModelStore, publish
from tests.clients import eventually

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "verysecret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def s3_server() -> Iterator[int]:
    """Start moto's server and return its port."""
    port = free_port()
    with emulator(
        "moto_server", "-H", "127.0.0.1", "-p", port, url=f"{at(port)}/moto-api/data.json"
    ):
        yield port


def at(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextmanager
def emulator(program: str, *arguments: object, url: str) -> Iterator[None]:
    """Run a program that a package brings, from when ``url`` answers."""
    process = subprocess.Popen(
        [Path(sys.executable).with_name(program), *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(url).is_success
        return False

    try:
        eventually(answers)
        yield
    finally:
        process.kill()
        process.wait()


class Wire:
    """Forwards connections to a port, until it is cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.asked: list[str] = []  # such as GET, in order
        self.bytes_left: int | None = None  # of what the server may still say; None: all
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, after: int = 0) -> None:
        """Break connections, old and new, once the server has said so many more bytes."""
        self.bytes_left = after

    def mend(self) -> None:
        self.bytes_left = None

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.bytes_left == 0:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._port))
                for one, other, said in ((client, server, False), (server, client, True)):
                    threading.Thread(
                        target=self._forward, args=(one, other, said), daemon=True
                    ).start()

    def _forward(self, one: socket.socket, other: socket.socket, said: bool) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if not said and (verb := re.match(rb"[A-Z]+ (?=/)", data)):
                    self.asked.append(verb[0].decode().strip())
                if self.bytes_left is not None:
                    if self.bytes_left == 0:
                        break
                    if said:
                        data = data[: self.bytes_left]
                        self.bytes_left -= len(data)
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def small_store(
    root: Path, seed: int | None = None, precisions: tuple[str, ...] = ("int8",)
) -> Path:
    """MobileNet and a detector alone; another version for every seed."""
    shipped = ModelStore(CHECKOUT_STORE)
    records = [shipped.record(MODEL, p) for p in precisions]
    items = [(r, shipped.read(r)) for r in records]
    if seed is not None:
        items = [newer(r, retrained(content, seed)) for r, content in items]
    finder = shipped.detectors[0]
    card = f"# {MODEL} {seed}"
    publish(root, items, {MODEL: card}, [(finder, shipped.read_detector(finder))])
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "report.md").write_text(f"# {seed}")
    return root


def promoted(remote: RemoteStore, store: Path) -> str:
    """Push and promote a store; returns its version."""
    version = remote.push(ModelStore(store)).version
    remote.promote(version)
    return version
