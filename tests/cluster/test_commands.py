"""The commands of docs/scale.md that make a cluster and deploy to it, as they stand there.

``make test-long`` runs them, for ``ray stop`` ends every Ray of the machine.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import ray

from tests.clients import is_ready
from tests.conftest import ROOT
from tests.pages import commands

LINES = [command.line for command in commands() if command.marker == "ray"]
URL = "http://127.0.0.1:8000"  # of deploy/ray/serve.yaml

pytestmark = [
    pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="make test-long runs it"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Runs a line with a home of its own, where the token goes; in the end no Ray runs."""
    programs = Path(sys.executable).parent
    environment = os.environ | {"HOME": str(tmp_path)}

    def run(line: str) -> str:
        line = line.replace(".venv/bin", str(programs))
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{line}:\n{done.stdout}{done.stderr}"
        return done.stdout

    assert not ray.is_initialized(), "run this file by itself"
    yield run
    run(".venv/bin/ray stop")


def test_a_cluster_of_two_nodes_serves(shell: Callable[[str], str], photo: bytes) -> None:
    with pytest.raises(httpx.ConnectError):  # of another service
        httpx.get(URL)
    for line in LINES:
        shell(line.replace("HEAD", ray.util.get_node_ip_address()))
    shown = shell("RAY_AUTH_MODE=token .venv/bin/ray status")
    assert shown.count("node_") == 2, shown
    until = time.monotonic() + 240
    while not is_ready(URL):
        assert time.monotonic() < until, shell("RAY_AUTH_MODE=token .venv/bin/serve status")
        time.sleep(1)
    answer = httpx.post(f"{URL}/predict", files={"image": photo}, timeout=60)
    assert answer.json()["faces"][0]["emotion"] == "happy"
