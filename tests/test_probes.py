"""Whoever runs the service asks how it is, without a key and as often as it likes."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.server import Server, free_port
from tests.conftest import ROOT, StartServer
from tests.manifests import MANIFESTS, read
from tests.test_security import made_keys
from tests.triton_grpc import triton

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
OFTEN = 8  # times as many as the limits let in


def probed(node: Any) -> Iterator[str]:
    """The paths that a manifest's probes ask, wherever they stand."""
    if isinstance(node, dict):
        yield from (node[name]["httpGet"]["path"] for name in PROBES if name in node)
        yield from (path for value in node.values() for path in probed(value))
    elif isinstance(node, list):
        yield from (path for item in node for path in probed(item))


def asked_by() -> dict[str, list[str]]:
    """Every file that says how to ask, and the paths it names."""
    haproxy = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    image = (ROOT / "Dockerfile").read_text().partition("HEALTHCHECK")[2]
    compose = str(
        [s.get("healthcheck") for s in read(ROOT / "docker-compose.yml")["services"].values()]
    )
    return {name: list(probed(manifest)) for name, manifest in MANIFESTS.items()} | {
        "haproxy.cfg": re.findall(r"http-check send meth GET uri (\S+)", haproxy),
        "Dockerfile": re.findall(r"'(/\w+)'", image),
        "docker-compose.yml": re.findall(r"/\w+z\b", compose),
    }


ASKED = {name: paths for name, paths in asked_by().items() if paths}


def test_probes_are_found_where_there_are_any() -> None:
    files = {"haproxy.cfg", "Dockerfile"}
    assert ASKED.keys() == files | {"kubernetes/base/deployment.yaml", "kserve/servingruntime.yaml"}


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def closed(start_server: StartServer, port: int) -> Iterator[Server]:
    """A service with keys, and a limit that a probe would soon reach."""
    _, setting = made_keys("alice")
    with start_server(
        api_keys=setting,
        client_requests=1,
        client_requests_per_minute=1,
        preload="none",
        grpc_port=port,
    ) as server:
        assert httpx.get(f"{server.url}/models").status_code == 401
        assert httpx.get(f"{server.url}/v2").status_code == 401
        yield server


@pytest.mark.parametrize("name", ASKED)
def test_no_key_and_no_limit_keeps_a_probe_out(closed: Server, name: str) -> None:
    for path in set(ASKED[name]):
        answers = [httpx.get(closed.url + path).status_code for _ in range(OFTEN)]
        assert answers == [200] * OFTEN, path


def test_nor_one_over_grpc(closed: Server, port: int) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        assert all(client.is_server_live() and client.is_server_ready() for _ in range(OFTEN))
        with pytest.raises(triton.InferenceServerException, match="API key"):
            client.get_server_metadata()
