"""Real photos, the shipped store, and a live server."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

from emotion import Classifier
from emotion.assets import find_detector_files
from emotion.faces import CaffeDetector

ROOT = Path(__file__).parent.parent


def encode(rgb: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A smiling face, 512x512 JPEG."""
    return (ROOT / "examples" / "astronaut.jpg").read_bytes()


@pytest.fixture(scope="session")
def no_face_photo() -> bytes:
    return encode(skimage.data.coffee(), "JPEG")


@pytest.fixture(scope="session")
def collage() -> bytes:
    """Three faces: full size, three quarters, half."""
    face = skimage.data.astronaut()[:256, 96:352]
    canvas = np.full((320, 760, 3), 128, np.uint8)
    left = 20
    for side in (256, 192, 128):
        canvas[20 : 20 + side, left : left + side] = cv2.resize(face, (side, side))
        left += side + 60
    return encode(canvas)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data directory; tests that need it are skipped where there is none."""
    value = os.environ.get("EMOTION_DATA_DIR")
    if not value:
        pytest.skip("EMOTION_DATA_DIR is not set")
    return Path(value)


@pytest.fixture(scope="session")
def detector() -> CaffeDetector:
    return CaffeDetector(find_detector_files(), networks=2)


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(interpreters=2)


@dataclass
class Server:
    url: str
    process: subprocess.Popen[str]
    log: Path

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


StartServer = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """Start a real ``python -m service`` on loopback with the given settings."""

    @contextmanager
    def start(**settings: object) -> Iterator[Server]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path_factory.mktemp("server") / "log.jsonl"
        given = {f"EMOTION_{name.upper()}": str(value) for name, value in settings.items()}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("EMOTION_")}
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "service"],
                cwd=ROOT,
                env=inherited | given | {"EMOTION_PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        server = Server(f"http://127.0.0.1:{port}", process, log)
        try:
            _await_ready(server)
            yield server
        finally:
            if process.poll() is None:
                server.stop()

    return start


def _await_ready(server: Server) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.process.poll() is None:
        try:
            httpx.get(f"{server.url}/livez")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the server did not start:\n{server.log.read_text()}")


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> Iterator[Server]:
    with start_server() as running:
        yield running


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
