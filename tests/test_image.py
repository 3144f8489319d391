"""The image, built and run: `make image-test`. It takes minutes, a package index and root."""

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from benchmarks.server import free_port
from emotion.classifier import CHECKOUT_STORE
from emotion.machine import machine
from emotion.records import ArtifactRecord
from emotion.store import ModelStore
from tests.conftest import ROOT
from tests.container import BASE, IMAGE, Storage, storage

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
    for program in ("buildah", "podman", "debootstrap"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed: apt-get install {program}")
    began = time.monotonic()
    with storage(tmp_path_factory.mktemp("image")) as mine:
        base = os.environ.get("EMOTION_IMAGE_BASE", BASE)
        if base == BASE:
            mine.import_base()
        mine.build(base)
        yield mine
        facts = json.loads(RESULT.read_text()) | {"test_seconds": round(time.monotonic() - began)}
        RESULT.write_text(json.dumps(facts, indent=1) + "\n")


@pytest.fixture(scope="module")
def files(images: Storage) -> Iterator[Path]:
    """The image's files."""
    container = images.run("buildah", "from", IMAGE)
    yield Path(images.run("buildah", "mount", container))
    images.run("buildah", "rm", container)


def to_ask_for() -> ArtifactRecord:
    """ResNet50 in int8 where the store has it, else MobileNet."""
    records = {record.name: record for record in ModelStore(CHECKOUT_STORE).records}
    return records.get("resnet50/int8") or records["mobilenet/int8"]


def size(path: Path) -> int:
    return sum(f.lstat().st_size for f in path.rglob("*") if not f.is_dir() or f.is_symlink())


def megabytes(count: int) -> float:
    return round(count / 1e6, 1)


def test_the_image_is_small(images: Storage, files: Path) -> None:
    packages = {path.name: size(path) for path in (files / SITE_PACKAGES).iterdir()}
    largest = sorted(packages.items(), key=lambda item: -item[1])[:8]
    store, python = size(files / "app" / "model_store"), size(files / "app" / ".venv")
    whole = int(images.inspect(IMAGE)["Size"])
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


def test_the_image_is_reproducible(images: Storage) -> None:
    images.build(os.environ.get("EMOTION_IMAGE_BASE", BASE), "localhost/again")
    first, second = images.inspect(IMAGE), images.inspect("localhost/again")
    assert first["RootFS"] == second["RootFS"]
    assert first["Id"] == second["Id"]


def test_the_image_serves_and_drains(images: Storage, photo: bytes) -> None:
    record = to_ask_for()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with images.serving(port) as container:
        wait_until_ready(url)
        answer = httpx.post(
            f"{url}/predict",
            params={"model": record.model, "precision": record.precision},
            files={"image": photo},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["version"] == record.version
        assert answer.json()["faces"][0]["emotion"] == "happy"
        assert httpx.get(f"{url}/docs").status_code == 200

        # what the process is, as the kernel says
        pid = images.run("podman", "inspect", "--format={{.State.Pid}}", container)
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == ["10001"] * 4
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        mounts = [line.split() for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()]
        options = {where: flags.split(",") for _, where, _, flags, *_ in mounts}
        assert "ro" in options["/"]
        assert "ro" in options["/app/model_store"]
        with pytest.raises(RuntimeError, match="Read-only file system"):
            images.run("podman", "exec", container, "touch", "/app/x")

        # the image's own health check
        check = images.inspect(IMAGE)["Healthcheck"]["Test"]
        assert check[0] == "CMD"
        images.run("podman", "exec", container, *check[1:])
        with pytest.raises(RuntimeError, match="refused"):
            nobody = f"--env=EMOTION_PORT={free_port()}"
            images.run("podman", "exec", nobody, container, *check[1:])

        # a request whose body is still on its way at SIGTERM is answered
        slow_curl = ("curl", "-s", "--limit-rate", str(len(photo)), "--data-binary", "@-")
        with subprocess.Popen(
            [*slow_curl, "-H", "content-type: image/jpeg", f"{url}/predict"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as curl:
            assert curl.stdin is not None and curl.stdout is not None
            curl.stdin.write(photo)
            curl.stdin.close()
            time.sleep(0.5)
            assert curl.poll() is None
            images.run("podman", "kill", "--signal=TERM", container)
            assert json.loads(curl.stdout.read())["faces"][0]["emotion"] == "happy"
        images.run("podman", "wait", container)
        log = images.run("podman", "logs", container)
        assert "Application shutdown complete" in log
        assert "Traceback" not in log


def wait_until_ready(url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            httpx.get(f"{url}/readyz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the image was not ready within a minute")
