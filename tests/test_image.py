"""The image's size and content; built twice, it is the same: `make image-test`, as root.

tests/test_docker.py runs it.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emotion.machine import machine
from tests.conftest import ROOT
from tests.image_builds import BASE, IMAGE, Storage, storage

RESULT = ROOT / "benchmarks" / "results" / "image.json"
SITE_PACKAGES = Path("app/.venv/lib/python3.11/site-packages")

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("EMOTION_IMAGE_TEST") != "1", reason="takes minutes: make image-test"
    ),
    pytest.mark.timeout(2400),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A storage with the image in it, on the base that EMOTION_IMAGE_BASE names or a new Debian."""
    for program in ("buildah", "debootstrap"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed: apt-get install {program}")
    began = time.monotonic()
    with storage(tmp_path_factory.mktemp("image")) as mine:
        base = os.environ.get("EMOTION_IMAGE_BASE", BASE)
        if base == BASE:
            mine.make_base()
        mine.build(base)
        yield mine
        facts = json.loads(RESULT.read_text()) | {"test_seconds": round(time.monotonic() - began)}
        RESULT.write_text(json.dumps(facts, indent=1) + "\n")


@pytest.fixture(scope="module")
def files(images: Storage) -> Iterator[Path]:
    """The image's files."""
    with images.files(IMAGE) as directory:
        yield directory


def size(path: Path) -> int:
    return sum(f.lstat().st_size for f in path.rglob("*") if not f.is_dir() or f.is_symlink())


def megabytes(count: int) -> float:
    return round(count / 1e6, 1)


def test_the_image_is_small(files: Path) -> None:
    packages = {path.name: size(path) for path in (files / SITE_PACKAGES).iterdir()}
    largest = sorted(packages.items(), key=lambda item: -item[1])[:8]
    store, python = size(files / "app" / "model_store"), size(files / "app" / ".venv")
    whole = size(files)
    RESULT.write_text(
        json.dumps(
            {
                "image_mb": megabytes(whole),
                "without_store_mb": megabytes(whole - store),
                "base_mb": megabytes(whole - store - python),
                "packages_mb": megabytes(python),
                "store_mb": megabytes(store),
                "largest_packages_mb": {name: megabytes(count) for name, count in largest},
                "base": (files / "etc" / "debian_version").read_text().strip(),
                "architecture": platform.machine(),
                "machine": machine(),
                "date": datetime.now(UTC).date().isoformat(),
            },
            indent=1,
        )
        + "\n"
    )
    assert whole - store < 500_000_000


def test_the_image_holds_what_serves_alone(files: Path) -> None:
    names = {path.name.lower() for path in (files / SITE_PACKAGES).iterdir()}
    assert {"emotion", "service", "ai_edge_litert", "cv2"} <= names
    assert not names & {"training", "tests", "tensorflow", "keras", "pip", "setuptools", "pytest"}
    assert sorted(path.name for path in (files / "app").iterdir()) == [".venv", "model_store"]
    assert (files / "cache").stat().st_uid == 10001  # whose volume it becomes


def test_the_image_is_reproducible(images: Storage) -> None:
    images.build(os.environ.get("EMOTION_IMAGE_BASE", BASE), "localhost/again")
    first, second = images.image(IMAGE), images.image("localhost/again")
    assert first.layers == second.layers
    hostless = {"Hostname": ""}  # buildah writes its build container's random name there
    assert first.config | hostless == second.config | hostless
