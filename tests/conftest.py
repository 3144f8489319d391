"""Real photos, the shipped store, and a live server."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

from benchmarks.server import ROOT, Server, serving
from emotion import Classifier
from emotion.assets import find_detector_files
from emotion.faces import CaffeDetector


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


StartServer = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """Start a real ``python -m service`` on loopback with the given settings."""

    def start(**settings: object) -> AbstractContextManager[Server]:
        return serving(tmp_path_factory.mktemp("server") / "log.jsonl", **settings)

    return start


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> Iterator[Server]:
    with start_server() as running:
        yield running


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
