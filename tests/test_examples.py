"""The clients in examples/ against live servers, one of them at its limit."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Error

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


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The examples on a web server of their own: another origin than the service's."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(ROOT / "examples"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever).start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()


ASK = """async ([address, count, options]) => {
  const { predict } = await import("/predict.mjs");
  const photo = await (await fetch("/astronaut.jpg")).blob();
  const asked = Array.from({ length: count }, () => predict(photo, address, options));
  return (await Promise.all(asked)).map((faces) => faces[0].emotion);
}"""


def test_a_browser_on_another_origin(
    browser: Browser, elsewhere: str, start_server: StartServer, small_server: Server
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(elsewhere)
        tight = {"threads": 1, "max_waiting": 0, "preload": "mobilenet/int8"}
        with start_server(cors_origins=elsewhere, **tight) as allowing:
            assert page.evaluate(ASK, [allowing.url, PICTURES, {}]) == ["happy"] * PICTURES
            assert refused(allowing) > 0
            with pytest.raises(Error, match="no artifact alexnet"):
                page.evaluate(ASK, [allowing.url, 1, {"query": "model=alexnet"}])
        with pytest.raises(Error, match="cannot be reached"):  # there, but not allowed
            page.evaluate(ASK, [small_server.url, 1, {"tries": 2}])
