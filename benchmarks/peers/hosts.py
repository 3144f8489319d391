"""The service and its peers as processes: environments, commands, and what they take."""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bench import PHOTO
from benchmarks.server import ROOT, free_port, status_of

ENVIRONMENTS = ROOT / "build" / "peers"
START_SECONDS = 120
LIBRARY = (  # what `emotion` needs, for the peers' own needs contradict the service's
    "ai-edge-litert>=2.3,<3",
    "numpy",
    "opencv-python-headless>=4.10,<5",
    "pillow>=11.3,<14",
    "pydantic>=2.10,<3",
    "simplejpeg>=1.8,<2",
)


@dataclass(frozen=True)
class Host:
    """Something that serves the pipeline."""

    name: str
    requirements: tuple[str, ...]  # beside the library's; none: this project's own environment
    command: tuple[str, ...]  # a program of its environment; {port} and {folder} are filled in
    path: str = "/predict"
    health: str = "/health"
    form: bool = True  # an image as a file of a form; else as the Open Inference Protocol has it


HOSTS = (
    Host("emotion service", (), ("python", "-m", "service"), health="/readyz"),
    Host("FastAPI with a lock", (), ("python", "-m", "benchmarks.peers.locked_fastapi", "{port}")),
    Host(
        "LitServe",
        ("litserve>=0.2,<1", "python-multipart>=0.0.22,<1"),
        ("python", "-m", "benchmarks.peers.litserve_server", "{port}"),
    ),
    Host(
        "BentoML",
        ("bentoml>=1.4,<2",),
        ("bentoml", "serve", "benchmarks.peers.bentoml_service:Emotion", "--port", "{port}"),
        health="/readyz",
    ),
    Host(
        "MLServer",
        ("mlserver>=1.6,<2", "uvloop<0.22"),  # its workers want a loop that is there
        ("mlserver", "start", "{folder}"),
        path="/v2/models/emotion/infer",
        health="/v2/health/ready",
        form=False,
    ),
)


@dataclass(frozen=True)
class Running:
    """A host that answers."""

    host: Host
    url: str
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    def request(self) -> dict[str, Any]:
        """Keyword arguments of httpx's ``post`` for one image."""
        if self.host.form:
            return {"files": {"image": ("photo.jpg", PHOTO, "image/jpeg")}}
        image = {"name": "image", "shape": [1], "datatype": "BYTES"}
        image |= {"data": [base64.b64encode(PHOTO).decode()]}
        return {"json": {"inputs": [image | {"parameters": {"content_type": "base64"}}]}}

    def megabytes(self) -> float:
        """Memory of the process and its children; what they share counts once (Linux)."""
        return sum(_proportional(pid) for pid in _family(self.process.pid))


def environment(host: Host) -> Path:
    """Return the programs of a host's environment, which is made where there is none."""
    if not host.requirements:
        return Path(sys.executable).parent
    return made(host.name.lower(), host.requirements)


def made(name: str, requirements: Sequence[str]) -> Path:
    """Return the programs of an environment under ``build/peers``, made where it is not."""
    folder = ENVIRONMENTS / name
    ready, wanted = folder / "ready", "\n".join([*LIBRARY, *requirements])
    if not ready.exists() or ready.read_text() != wanted:
        print(f"setting up {name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *LIBRARY, *requirements], check=True)
        ready.write_text(wanted)
    return folder / "bin"


@contextmanager
def hosted(host: Host) -> Iterator[Running]:
    """Run a host on a free port of loopback; raises RuntimeError where it does not answer."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        _mlserver_settings(Path(folder), port)
        program, *arguments = (part.format(port=port, folder=folder) for part in host.command)
        log = Path(folder) / "log"
        started = time.perf_counter()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [environment(host) / program, *arguments],
                cwd=ROOT,
                env=os.environ
                | {"EMOTION_PORT": str(port), "EMOTION_PRELOAD": "mobilenet/int8"}
                | {"PYTHONPATH": str(ROOT), "BENTOML_DO_NOT_TRACK": "True"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            running = Running(host, url, process, 0.0)
            while not _answers(running):
                if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                    raise RuntimeError(f"{host.name} did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.02)
            yield Running(host, url, process, time.perf_counter() - started)
        finally:
            with suppress(ProcessLookupError):  # its workers, too
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(running: Running) -> bool:
    with suppress(httpx.TransportError):
        if status_of(running.url + running.host.health) == httpx.codes.OK:
            posted = httpx.post(running.url + running.host.path, **running.request(), timeout=60)
            return posted.status_code == httpx.codes.OK
    return False


def _mlserver_settings(folder: Path, port: int) -> None:
    server: dict[str, object] = {
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
    }
    server |= {"host": "127.0.0.1", "parallel_workers": os.cpu_count() or 1}
    (folder / "settings.json").write_text(json.dumps(server))
    model = {"name": "emotion", "implementation": "benchmarks.peers.mlserver_runtime.Emotion"}
    (folder / "model-settings.json").write_text(json.dumps(model))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [pid]
    with suppress(FileNotFoundError):
        for child in children.read_text().split():
            found += _family(int(child))
    return found


def _proportional(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
    return 0.0
