"""The clients in examples/ against live servers, one of them at its limit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.server import Server
from tests.conftest import ROOT, StartServer

PICTURES = 12


def run(server: Server, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ | {"EMOTION_URL": server.url},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number:02}.jpg" for number in range(PICTURES)]
    for path in paths:
        path.write_bytes(photo)
    return paths


@pytest.fixture(scope="module")
def busy(start_server: StartServer) -> Iterator[Server]:
    """Computes one request at a time and lets nobody wait."""
    with start_server(threads=1, max_waiting=0, preload="mobilenet/int8") as server:
        yield server


@pytest.fixture(scope="module")
def strict(start_server: StartServer) -> Iterator[Server]:
    """Lets one client have one request at a time."""
    with start_server(client_requests=1, preload="mobilenet/int8") as server:
        yield server


def refused(server: Server, problem: str = "overloaded") -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    name = f'emotion_problems_total{{problem="{problem}"}} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server: Server) -> None:
    done = run(server, "sh", "examples/curl.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"emotion":"happy"') >= 3
    missing = run(server, "sh", "examples/curl.sh", "pyproject.toml")
    assert missing.returncode != 0
    assert "not an image" in missing.stdout


def test_python(server: Server) -> None:
    done = run(server, sys.executable, "examples/predict.py")
    assert done.stdout.startswith("happy "), done.stderr
    wrong = run(server, sys.executable, "examples/predict.py", "pyproject.toml")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "not an image" in wrong.stderr


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "examples/many.py"),
        pytest.param(
            ("node", "examples/many.mjs"),
            marks=pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
        ),
    ],
    ids=["python", "node"],
)
def test_many_pictures_through_a_busy_service(
    busy: Server, strict: Server, pictures: list[Path], command: tuple[str, str]
) -> None:
    before = refused(busy)
    done = run(busy, *command, *pictures)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"{path} happy" for path in pictures]
    assert refused(busy) > before
    before = refused(strict, "too-many-requests")
    done = run(strict, *command, *pictures)
    assert done.returncode == 0, done.stderr
    assert refused(strict, "too-many-requests") > before
    mixed = run(busy, *command, pictures[0], "pyproject.toml")
    assert mixed.returncode == 1
    assert mixed.stdout == f"{pictures[0]} happy\n"
    assert "not an image" in mixed.stderr
    gone = run(busy, *command, "nowhere.jpg", pictures[0])
    assert (gone.returncode, gone.stdout) == (1, f"{pictures[0]} happy\n")
    assert "nowhere.jpg" in gone.stderr
