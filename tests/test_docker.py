"""The Docker commands of the pages, run as they stand there by a real engine: `make image-test`.

The engine is the tests' own, with its images in a directory that is gone afterwards.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.server import free_port
from tests.clients import is_ready
from tests.conftest import ROOT
from tests.image_builds import INDEX_SETTINGS, debian
from tests.pages import commands
from tests.synthetic import write_ckplus

PYTHON = "python:3.11-slim-bookworm"
HAPROXY = "haproxy:2.6"
PARTS = ("up --build", "EMOTION_API_KEYS", "docker run", "emotion-extras", "run --rm training")
"""Of the pages' commands: a test for each."""

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("EMOTION_IMAGE_TEST") != "1", reason="takes minutes: make image-test"
    ),
    pytest.mark.timeout(2400),
]


def docker(*words: object, **options: Any) -> str:
    """Run a command of Docker's and return what it prints; raises RuntimeError with all of it."""
    options = {"capture_output": True, "text": True, "timeout": 600} | options
    done = subprocess.run(["docker", *map(str, words)], **options)
    if done.returncode != 0:
        raise RuntimeError(f"docker {words}:\n{done.stdout}{done.stderr}")
    return done.stdout


def answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


@pytest.fixture(scope="module", autouse=True)
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An engine that has the images which the project's are built from."""
    for program in ("docker", "dockerd", "debootstrap"):
        if shutil.which(program) is None:
            pytest.fail(
                f"{program} is not installed: needed are docker.io with Compose 2, debootstrap"
            )
    place = Path(tempfile.mkdtemp(prefix="docker"))
    places = [f"--{name}={place / name}" for name in ("data-root", "exec-root", "pidfile")]
    with pytest.MonkeyPatch.context() as patch, ExitStack() as clean:
        clean.callback(shutil.rmtree, place)
        patch.setenv("DOCKER_HOST", f"unix://{place}/socket")
        patch.setenv("DOCKER_BUILDKIT", "1")
        with (place / "log").open("wb") as log:
            own = subprocess.Popen(
                ["dockerd", f"--host=unix://{place}/socket", *places], stdout=log, stderr=log
            )
        clean.callback(own.wait, 60)
        clean.callback(own.terminate)
        until = time.monotonic() + 60
        while not answers():
            assert own.poll() is None and time.monotonic() < until, (place / "log").read_text()
            time.sleep(0.2)
        make_bases(tmp_path_factory.mktemp("debian"))
        yield


def make_bases(root: Path) -> None:
    """Debian's own Python and HAProxy, under the names of the images that have them."""
    archive = debian(root, "ca-certificates", "python3", "python3-venv", "haproxy")
    docker("import", archive, "debian")
    archive.unlink()
    for path in map(Path, INDEX_SETTINGS):  # of this machine
        copy = root / path.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, copy)
    docker("build", "--tag", PYTHON, "--file", "-", root, input="FROM debian\nCOPY . /\n")
    start = '["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]'
    recipe = f"FROM {PYTHON}\nUSER haproxy\nENTRYPOINT {start}\n"
    docker("build", "--tag", HAPROXY, "-", input=recipe)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files, in which a training may write."""
    place = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(lambda name: (ROOT / name).is_file(), listed.stdout.splitlines()):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)
    return place


@contextmanager
def running(line: str, place: Path) -> Iterator[str]:
    """Run a line of a page in ``place`` and give the service's address; Ctrl-C ends it."""
    port = free_port()
    line = line.replace("127.0.0.1:8000:", f"127.0.0.1:{port}:")
    ports = {"PORT": str(port), "PROXY_PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    with (place.parent / "output").open("w+") as output:
        command = subprocess.Popen(
            ["bash", "-c", line],
            cwd=place,
            env=os.environ | ports,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + 1200
            while not is_ready(url):
                said = Path(output.name).read_text()[-5000:]
                assert command.poll() is None and time.monotonic() < until, said
                time.sleep(0.2)
            yield url
        finally:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGINT)
            try:
                command.wait(120)
            finally:
                docker("compose", "--profile", "scale", "down", "--volumes", cwd=place)


def predict(url: str, photo: bytes, query: str = "", **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/predict{query}", files={"image": photo}, headers=headers, timeout=60)


def line_with(part: str) -> str:
    (line,) = (c.line for c in commands() if c.marker == "docker" and part in c.line)
    return line


def test_compose_serves_confined_and_drains(checkout: Path, photo: bytes) -> None:
    with running(line_with("up --build"), checkout) as url:
        for query in ("", "?model=resnet50&precision=int8", "?detector=caffe"):
            answer = predict(url, photo, query)
            assert answer.status_code == 200, answer.text
            assert answer.json()["faces"][0]["emotion"] == "happy"
        assert httpx.get(f"{url}/docs").status_code == 200

        name = docker("compose", "ps", "--quiet", "emotion", cwd=checkout).strip()
        until = time.monotonic() + 60
        while (known := facts(name))["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < until, known["State"]["Health"]
            time.sleep(1)
        status = docker("exec", name, "cat", "/proc/1/status")
        assert re.search(r"^Uid:(\t10001){4}$", status, re.MULTILINE), status
        assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE), status
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE), status
        for path in ("/x", "/app/x", "/app/model_store/x"):
            with pytest.raises(RuntimeError, match="Read-only file system"):
                docker("exec", "--user=0", name, "touch", path)

        slow = ["curl", "-s", "--limit-rate", str(len(photo)), "--data-binary", "@-"]
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
            docker("compose", "stop", "emotion", cwd=checkout)
            assert json.loads(curl.stdout.read())["faces"][0]["emotion"] == "happy"
        assert facts(name)["State"]["ExitCode"] == 0
        log = docker("logs", name)
        assert "Application shutdown complete" in log
        assert "Traceback" not in log


def facts(name: str) -> dict[str, Any]:
    (known,) = json.loads(docker("inspect", name))
    return known


def test_compose_asks_strangers_for_a_key(checkout: Path, photo: bytes) -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    line = line_with("EMOTION_API_KEYS").replace("ID:SHA256", f"tester:{digest}")
    with running(line, checkout) as url:
        assert predict(url, photo).status_code == 401
        assert predict(url, photo, **{"X-API-Key": "secret"}).status_code == 200
        (bound,) = docker("compose", "port", "emotion", "8000", cwd=checkout).split()
        assert bound.startswith("0.0.0.0:")


def test_a_container_alone_serves(checkout: Path, photo: bytes) -> None:
    with running(line_with("docker run"), checkout) as url:
        answer = predict(url, photo)
        assert answer.json()["faces"][0]["emotion"] == "happy"


def test_replicas_serve_behind_haproxy(checkout: Path, photo: bytes) -> None:
    line = "docker compose --profile scale up proxy"
    assert f"`{line}`" in (ROOT / "README.md").read_text()
    with running(line, checkout) as url:
        listed = docker("compose", "ps", "--quiet", "replica", cwd=checkout).split()
        assert len(listed) == 3

        def asked() -> list[int]:
            return [docker("logs", name).count('"path": "/predict"') for name in listed]

        until = time.monotonic() + 60
        while not all(asked()):
            assert time.monotonic() < until, asked()
            assert predict(url, photo).status_code == 200


def test_the_image_with_extras_reaches_stores_and_collectors(checkout: Path) -> None:
    line = line_with("emotion-extras")
    subprocess.run(["bash", "-c", line], cwd=checkout, check=True, timeout=1200)
    for line in (
        "import s3fs, gcsfs, service.app",
        "import opentelemetry.sdk.trace, service.grpc_server",
    ):
        docker("run", "--rm", "emotion-extras", "python", "-c", line)


def test_training_runs_in_its_image(checkout: Path, tmp_path: Path) -> None:
    write_ckplus(tmp_path / "ckplus.zip")
    little = "--input-size 32 --head-epochs 0 --epochs 1"
    (export,) = (c.line for c in commands() if c.line.startswith("export EMOTION_USER"))
    done = subprocess.run(
        ["bash", "-c", f"{export}\n{line_with('run --rm training')} {little}"],
        cwd=checkout,
        env=os.environ | {"EMOTION_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert "mobilenet is not published" in done.stderr, done.stdout + done.stderr
    written = checkout / "runs" / "default" / "mobilenet" / "train.json"
    assert written.stat().st_uid == os.getuid()
