"""docs/extend.md, followed to the letter: a new backbone, trained on new pictures, served."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import skimage.data

from emotion import EMOTIONS
from emotion.records import PRECISIONS
from emotion.store import ModelStore
from tests.conftest import ROOT, StartServer
from tests.steps import failure, step
from training.cli import main as training
from training.datasets import MIN_PEOPLE, FaceDataset
from training.workspace import Workspace

pytestmark = pytest.mark.training

PAGE = (ROOT / "docs" / "extend.md").read_text()
PEOPLE = [f"person{number}" for number in range(2 * MIN_PEOPLE)]
PICTURES = 4


def write_faces(folder: Path, pictures: int = PICTURES) -> Path:
    """Round faces with brow, nose or mouth, or some of the three: seven ways, one per emotion."""
    random = np.random.default_rng(0)
    for number, emotion in enumerate(EMOTIONS, start=1):
        (folder / emotion).mkdir(parents=True)
        for person in PEOPLE:
            for picture in range(pictures):
                face = np.full((64, 64), 90, np.uint8)
                cv2.circle(face, (32, 32), 30, 150, -1)
                for bit, height in enumerate((12, 32, 52)):
                    if number >> bit & 1:
                        cv2.rectangle(face, (12, height - 4), (52, height + 4), 20, -1)
                noisy = np.clip(face + random.normal(0, 6, face.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / emotion / f"{person}_{picture}.png"), noisy)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the two packages, extended as the page says."""
    root = tmp_path_factory.mktemp("checkout")
    for package in ("emotion", "training"):
        shutil.copytree(ROOT / package, root / package)
    for name, code in re.findall(r"^```python title=(\S+)\n(.*?)^```", PAGE, re.S | re.M):
        (root / name).write_text(code)
    (diff,) = re.findall(r"^```diff\n(.*?)^```", PAGE, re.S | re.M)
    before, added = diff.splitlines()
    registry = root / "training" / "backbones.py"
    text = registry.read_text()
    assert text.count(before[1:]) == 1
    registry.write_text(text.replace(before[1:], f"{before[1:]}\n{added[1:]}"))
    return root


@pytest.fixture(scope="module")
def store(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    faces = write_faces(tmp_path_factory.mktemp("data") / "faces")
    (command,) = re.findall(r"^\.venv/bin/python (-m training run .*)$", PAGE, re.M)
    words = shlex.split(command.replace("~/faces", str(faces)))
    done = subprocess.run(
        [sys.executable, *words], cwd=checkout, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return checkout / "model_store"


def test_the_new_backbone_passes_the_gate(store: Path) -> None:
    records = ModelStore(store).records
    assert [(r.model, r.precision) for r in records] == [("tiny", p) for p in PRECISIONS]
    card = ModelStore(store).card("tiny")
    assert f"faces: {len(EMOTIONS) * len(PEOPLE) * PICTURES} images of {len(PEOPLE)} people" in card
    assert "CK+" not in card


def test_a_service_that_never_heard_of_it_serves_it(store: Path, start_server: StartServer) -> None:
    calls = re.findall(r"^(curl .*)$", PAGE, re.M)
    assert len(calls) == 2
    with start_server(store=store) as server:
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        for call in calls:
            words = shlex.split(call.replace("localhost:8000", server.url))
            done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, timeout=60)
            assert b'"model":"tiny"' in done.stdout, done.stdout
        listed = httpx.get(f"{server.url}/models").json()["artifacts"]
        assert [a["record"]["model"] for a in listed] == ["tiny"] * 3


def write_photos(folder: Path) -> Path:
    """A face in a landscape, one for each emotion of each of the least people there may be."""
    face = cv2.cvtColor(skimage.data.astronaut()[30:230, 130:330], cv2.COLOR_RGB2BGR)
    random = np.random.default_rng(0)
    for emotion in EMOTIONS:
        (folder / emotion).mkdir(parents=True)
        for person in PEOPLE[:MIN_PEOPLE]:
            photo = np.full((300, 400, 3), random.integers(60, 200, 3), np.uint8)
            y, x = random.integers(0, 100), random.integers(0, 200)
            photo[y : y + 200, x : x + 200] = face
            cv2.imwrite(str(folder / emotion / f"{person}_1.jpg"), photo)
    return folder


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The page's commands for photos of one's own, from an empty directory."""
    photos = write_photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^\.venv/bin/python -m training (.*--run-dir runs/mine.*)$", PAGE, re.M)
    return [shlex.split(line.replace("~/faces", str(photos))) for line in lines]


def test_faces_are_cut_out_of_photos(commands: list[list[str]]) -> None:
    prepare = commands[0]
    step(*prepare)
    faces = FaceDataset.load(Workspace(Path("runs/mine")).dataset)
    assert len(faces) == len(EMOTIONS) * MIN_PEOPLE
    assert spread(faces) < 20  # the same face, wherever it lay
    prepare.remove("--detect")
    step(*prepare)
    assert spread(FaceDataset.load(Workspace(Path("runs/mine")).dataset)) > 40


def spread(faces: FaceDataset) -> float:
    """How unlike the first face the others are, in grey values."""
    found = faces.faces.astype(float)
    return float(np.median(np.abs(found - found[0]).mean(axis=(1, 2))))


@pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="make test-long runs it")
def test_the_commands_for_photos_of_ones_own(commands: list[list[str]], tmp_path: Path) -> None:
    """Word for word, but for less training; so they end at the gate, which lets none of it pass."""
    small = ["--init", "random", "--input-size", "32", "--head-epochs", "0", "--epochs", "1"]
    for name, *words in commands:
        if name == "publish":
            assert "mobilenet is not published" in failure(name, *words)
        else:
            step(name, *words, *(small if name == "train" else []))
    assert [name for name, *_ in commands] == [
        *("prepare", "train", "quantize", "evaluate", "publish")
    ]
    assert not (tmp_path / "mine" / "manifest.json").exists()


def test_folders_that_cannot_be_trained_on_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(folder: Path) -> str:
        assert training(["prepare", "--faces", str(folder), "--run-dir", str(tmp_path / "r")]) == 1
        return capsys.readouterr().err

    few = write_faces(tmp_path / "few", 1)
    for person in PEOPLE[MIN_PEOPLE - 1 :]:
        for picture in few.glob(f"*/{person}_*"):
            picture.unlink()
    assert f"shows {MIN_PEOPLE - 1} people, at least {MIN_PEOPLE}" in refused(few)
    nameless = write_faces(tmp_path / "nameless", 1)
    (nameless / "fear" / "photo.png").write_bytes(b"")
    assert "fear/photo.png does not say whose face it is" in refused(nameless)
    empty = write_faces(tmp_path / "empty", 1)
    for picture in (empty / "fear").iterdir():
        picture.unlink()
    assert "the folder fear is empty" in refused(empty)
