"""docs/privacy.md: nothing is stored, because nothing can be."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.server import ROOT


def forbid_writing_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
def test_a_service_that_cannot_write_a_file_serves_all_the_same(
    photo: bytes, tmp_path: Path
) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EMOTION_")}
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", "service"],
        cwd=ROOT,
        env=environment | {"EMOTION_PORT": "0", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,  # a pipe has no size, a log file would have
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=forbid_writing_files,
    )
    try:
        url = address(process)
        padded = photo + bytes(5_000_000)  # more than any buffer that spills to disk
        form = httpx.post(f"{url}/predict", files={"image": padded}, timeout=30)
        assert form.json()["faces"][0]["emotion"] == "happy", form.text
        body = httpx.post(f"{url}/compare", content=padded, timeout=30)
        assert body.status_code == 200, body.text
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    until = time.monotonic() + 60
    while time.monotonic() < until:
        line = process.stdout.readline()
        if not line and process.poll() is not None:
            break
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    pytest.fail("the service did not say where it listens")
