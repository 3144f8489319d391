"""The service alone, on Ray Serve as one deployment, and in stages, in turn within one run.

Closed loop; every layout may use both cores: the service two threads, Ray two replicas of one
thread, or one that finds faces and one that runs the networks. Writes JSON; `make docs` puts it
into docs/scale.md.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bench import PHOTO
from benchmarks.load import LoadReport, load
from benchmarks.report import load_per_core, write_report
from benchmarks.server import free_port, serving

ARTIFACTS = (("mobilenet", "int8"), ("resnet50", "float32"))
PRELOAD = ",".join(map("/".join, ARTIFACTS))
CLIENTS = (1, 8)


def application(layout: str, replicas: int) -> dict[str, Any]:
    """Return one of Ray Serve's applications; its name is its prefix."""
    fixed = {"autoscaling_config": {"min_replicas": replicas, "max_replicas": replicas}}
    emotion = {"name": "Emotion", "user_config": {"preload": PRELOAD}, **fixed}
    return {
        "name": layout,
        "route_prefix": f"/{layout}",
        "import_path": "cluster.serve:build",
        "args": {"layout": layout, "max_replicas": replicas},
        "deployments": [emotion],
    }


def deploy(address: str) -> str:
    """Start both layouts on Ray; returns the proxy's URL."""
    # Ray gives way to other processes by default, the service does not.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    import ray
    from ray import serve
    from ray.serve.context import _get_global_client
    from ray.serve.schema import ServeDeploySchema

    port = free_port()
    local: dict[str, Any] = {}
    if address == "local":
        local = {"num_cpus": 4, "object_store_memory": 100_000_000, "include_dashboard": False}
    ray.init(address, log_to_driver=False, **local)
    serve.start("HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    config = {"applications": [application("whole", 2), application("staged", 1)]}
    client: Any = _get_global_client()
    client.deploy_apps(ServeDeploySchema.model_validate(config), _blocking=True)
    return f"http://127.0.0.1:{port}"


def end() -> None:
    """Take both layouts from Ray, which would go on without this process."""
    import ray
    from ray import serve

    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


def cpu_seconds(layout: str, alone: int) -> float:
    """Return what the processes that serve a layout have computed so far (Linux)."""
    spent = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name = (process / "cmdline").read_bytes().decode()
            of_ray = name.startswith((f"ray::ServeReplica:{layout}:", "ray::ProxyActor"))
            if process.name == str(alone) if layout == "alone" else of_ray:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


def summary(reports: list[LoadReport], spent: list[float]) -> dict[str, object]:
    """Return the medians of rounds that differ in nothing."""
    first = reports[0]
    rows = [asdict(report) for report in reports]
    warm_up = min(first.clients, 8)  # requests before those that are timed
    names = ("requests_per_second", "p50_ms", "p95_ms")
    return {
        "artifact": f"{first.model}/{first.precision}",
        "clients": first.clients,
        "rounds": len(reports),
        "requests": sum(report.requests for report in reports),
        "errors": sum(sum(report.errors.values()) for report in reports),
        "cpu_ms": round(1000 * sum(spent) / len(reports) / (first.requests + warm_up), 2),
        **{name: round(median(row[name] for row in rows), 2) for name in names},
    }


def main() -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_serve", description=__doc__)
    parser.add_argument("--requests", type=int, default=60, help="for each point and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--address", default="local", help="a Ray cluster, or one started here")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    busy = load_per_core()
    points: dict[tuple[object, ...], list[LoadReport]] = {}
    spent: dict[tuple[object, ...], list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "log.jsonl", preload=PRELOAD) as server,
        ExitStack() as stack,
    ):
        url = deploy(options.address)
        stack.callback(end)
        urls = {"alone": server.url, "whole": f"{url}/whole", "staged": f"{url}/staged"}
        for _ in range(options.rounds):
            for model, precision in ARTIFACTS:
                for clients in CLIENTS:
                    for layout, at in urls.items():
                        one = load(at, PHOTO, model, precision, clients, options.requests)
                        key = (layout, model, precision, clients)
                        before = cpu_seconds(layout, server.process.pid)
                        points.setdefault(key, []).append(asyncio.run(one))
                        cpu = cpu_seconds(layout, server.process.pid) - before
                        spent.setdefault(key, []).append(cpu)
    rows = [{"layout": key[0]} | summary(reports, spent[key]) for key, reports in points.items()]
    print(json.dumps(rows, indent=1))
    if options.out:
        write_report(options.out, load_per_core_before=round(busy, 2), points=rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
