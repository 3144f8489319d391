"""Real photos, the shipped store, and a live server."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.server import ROOT, Server, serving
from emotion import Classifier
from emotion.assets import find_detector_files
from emotion.classifier import CHECKOUT_STORE
from emotion.faces import CaffeDetector
from tests.browser import ALLOWED, DESKTOP, SLOW, Open, Watch, camera, launched, write_camera
from tests.stores import write_small_store
from tests.synthetic import write_ckplus
from training.datasets import FaceDataset, load_ckplus
from training.workspace import Workspace


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
def crops() -> list[bytes]:
    """A hundred strangers' faces, cropped, on which the artifacts do not always agree."""
    faces = (255 * skimage.data.lfw_subset()[:100]).astype(np.uint8)
    return [encode(cv2.resize(face, (100, 100))) for face in faces]


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


@pytest.fixture(scope="session")
def ckplus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for CK+, the same on every machine."""
    return write_ckplus(tmp_path_factory.mktemp("data") / "ckplus.zip")


@pytest.fixture(scope="session")
def few_faces(ckplus: Path) -> FaceDataset:
    """A hundred faces of the stand-in for CK+."""
    full = load_ckplus(ckplus)
    return full.part(np.flatnonzero(np.isin(full.subjects, [f"S{n:03}" for n in range(7)]))[::2])


@pytest.fixture
def run_dir(few_faces: FaceDataset, tmp_path: Path) -> Path:
    """A run of these faces, prepared."""
    few_faces.save(Workspace(tmp_path / "run").dataset)
    return tmp_path / "run"


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the shipped artifacts; nothing may change them."""
    return write_small_store(tmp_path_factory.mktemp("small") / "store")


@pytest.fixture
def store(small_store: Path, tmp_path: Path) -> Path:
    """A copy of the small store, to change."""
    return Path(shutil.copytree(small_store, tmp_path / "store"))


StartServer = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def start_server(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """Start a real ``python -m service`` on loopback with the given settings."""

    def start(**settings: object) -> AbstractContextManager[Server]:
        log = tmp_path_factory.mktemp("server") / "log.jsonl"
        return serving(log, **({"store": small_store} | settings))

    return start


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> Iterator[Server]:
    """The shipped store, served."""
    with start_server(store=CHECKOUT_STORE) as running:
        yield running


@pytest.fixture(scope="session")
def small_server(start_server: StartServer) -> Iterator[Server]:
    with start_server() as running:
        yield running


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Iterator[Browser]:
    film = tmp_path_factory.mktemp("camera") / "face.y4m"
    write_camera(film, photo)
    with launched(ALLOWED, *camera(film)) as running:
        yield running


@pytest.fixture
def open_page(browser: Browser, small_server: Server) -> Iterator[Open]:
    """Open the page; at the end nothing may have been logged, and no other host asked."""
    watches: list[tuple[Watch, list[int]]] = []
    contexts = []

    def opened(
        view: str = "",
        url: str = small_server.url,
        refused: tuple[int, ...] = (),
    ) -> Page:
        context = browser.new_context(
            viewport={"width": DESKTOP[0], "height": DESKTOP[1]},
            reduced_motion="reduce",
        )
        context.set_default_timeout(SLOW)
        contexts.append(context)
        page = context.new_page()
        watches.append((Watch(page, url), list(refused)))
        page.goto(f"{url}/{view}")
        return page

    yield opened
    for context in contexts:
        context.close()
    for watch, refused in watches:
        assert watch.complaints == []
        assert watch.strangers == []
        assert watch.refused == refused
