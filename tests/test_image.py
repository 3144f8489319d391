"""The image, built and run: `make image-test`. It takes minutes, a package index and root."""

import json
import os
import platform
import shutil
import signal
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
from tests.container import BASE, IMAGE, Container, Storage, running, storage

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


def to_ask_for() -> ArtifactRecord:
    """ResNet50 in int8 where the store has it, else MobileNet."""
    records = {record.name: record for record in ModelStore(CHECKOUT_STORE).records}
    return records.get("resnet50/int8") or records["mobilenet/int8"]


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


def test_the_image_serves_and_drains(
    images: Storage, files: Path, photo: bytes, tmp_path: Path
) -> None:
    record = to_ask_for()
    image = images.image(IMAGE)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(image, files, tmp_path / "log", host="127.0.0.1", port=port) as container:
        wait_until_ready(url, container)
        answer = httpx.post(
            f"{url}/predict",
            params={"model": record.model, "precision": record.precision},
            files={"image": photo},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["version"] == record.version
        assert answer.json()["faces"][0]["emotion"] == "happy"
        caffe = httpx.post(f"{url}/predict?detector=caffe", files={"image": photo}, timeout=30)
        assert caffe.json()["detector"] == "res10-ssd-caffe"
        assert httpx.get(f"{url}/docs").status_code == 200

        # what the process is, as the kernel says
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{container.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == ["10001"] * 4
        assert status["NSpid"].split()[-1] == "1"
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        for path in ("/x", "/app/x", "/app/model_store/x"):
            assert "Read-only file system" in container.run("touch", path).stderr

        # the image's own health check
        kind, *check = image.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        assert container.run(*check, EMOTION_PORT=str(port)).returncode == 0
        nobody = container.run(*check, EMOTION_PORT=str(free_port()))
        assert "Connection refused" in nobody.stderr

        # a request whose body is still on its way at SIGTERM is answered
        slow = ("curl", "-s", "--limit-rate", str(len(photo)), "--data-binary", "@-")
        with subprocess.Popen(
            [*slow, "-H", "content-type: image/jpeg", f"{url}/predict"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as curl:
            assert curl.stdin is not None and curl.stdout is not None
            curl.stdin.write(photo)
            curl.stdin.close()
            time.sleep(0.5)
            assert curl.poll() is None
            os.kill(container.pid, signal.SIGTERM)
            assert json.loads(curl.stdout.read())["faces"][0]["emotion"] == "happy"
        container.supervisor.wait(30)
        log = container.log.read_text()
        assert "Application shutdown complete" in log
        assert "Traceback" not in log


def test_the_image_is_reproducible(images: Storage) -> None:
    images.build(os.environ.get("EMOTION_IMAGE_BASE", BASE), "localhost/again")
    first, second = images.image(IMAGE), images.image("localhost/again")
    assert first.layers == second.layers
    hostless = {"Hostname": ""}  # buildah writes its build container's random name there
    assert first.config | hostless == second.config | hostless


def test_the_image_with_extras_reaches_stores_and_collectors(images: Storage) -> None:
    extras, lock = "localhost/extras", "requirements-extras.lock"
    images.build(os.environ.get("EMOTION_IMAGE_BASE", BASE), extras, lock)
    with images.files(extras) as files:
        facts = json.loads(RESULT.read_text())
        facts["packages_with_extras_mb"] = megabytes(size(files / "app" / ".venv"))
        RESULT.write_text(json.dumps(facts, indent=1) + "\n")
        for line in (
            "import s3fs, gcsfs, service.app",
            "import opentelemetry.sdk.trace, service.grpc_server",
        ):
            command = ["chroot", files, "/app/.venv/bin/python", "-c", line]
            assert subprocess.run(command, cwd="/", timeout=60).returncode == 0


def wait_until_ready(url: str, container: Container) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and container.supervisor.poll() is None:
        try:
            httpx.get(f"{url}/readyz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the image did not start:\n{container.log.read_text()}")
