"""A real Ray cluster of several nodes on this machine, all of whose processes end with it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # 15 by default, which is slow beside other work
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of what it will do later
}

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from benchmarks.server import free_port

ATTEMPTS = 3
NODE = {"object_store_memory": 100_000_000, "include_dashboard": False}


@contextmanager
def ray_cluster(workers: int, cpus: int) -> Iterator[Cluster]:
    """A head without cores, and workers, to which this process is connected."""
    cluster = Cluster()
    try:
        add_node(cluster, 0)
        for _ in range(workers):
            add_node(cluster, cpus)
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        yield cluster
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


def add_node(cluster: Cluster, cpus: int) -> None:
    """Start a node: again where this machine was too busy for the time that Ray gives it.

    Of the agent that serves each node's dashboard, the smallest: nothing here needs more.
    """
    for attempt in range(ATTEMPTS):
        try:
            with patch("ray._private.utils.get_dashboard_dependency_error", return_value="none"):
                cluster.add_node(num_cpus=cpus, **NODE)
        except Exception:  # Ray raises no other
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


def processes(cluster: Cluster, name: str) -> list[int]:
    """The processes on the cluster's nodes whose title, which Ray gives them, has this name."""
    raylets = {
        started.process.pid
        for node in cluster.list_all_nodes()
        for started in node.all_processes["raylet"]
    }
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it may have ended
            parent = re.search(r"^PPid:\s+(\d+)", status.read_text(), re.MULTILINE)
            title = status.with_name("cmdline").read_text()
            if parent and int(parent[1]) in raylets and "ray::" in title and name in title:
                found.append(int(status.parent.name))
    return found


def start_proxy() -> str:
    """Start Ray Serve with one proxy, on the head; returns its URL."""
    port = free_port()
    serve.start("HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    return f"http://127.0.0.1:{port}"


def deploy(config: dict[str, Any]) -> None:
    """Do what ``serve deploy`` does, which needs the dashboard."""
    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config), _blocking=True)


def replicas(application: str, deployment: str) -> list[tuple[str, int]]:
    """The node and the process of each replica that serves."""
    details = _get_global_client().get_serve_details()["applications"][application]
    found = details["deployments"][deployment]["replicas"]
    return [(one["node_id"], one["pid"]) for one in found if one["state"] == "RUNNING"]
