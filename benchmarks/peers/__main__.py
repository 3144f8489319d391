"""The service beside its peers, in one run: throughput, latency at given loads, memory, start.

Each hosts the same artifact and pipeline in the way its documentation recommends, from an
environment of its own under ``build/peers``, which this makes. All are measured in turn, several
rounds, with the same client; the offered loads are shares of this service's saturation.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers.hosts import HOSTS, Host, environment, hosted, made
from benchmarks.peers.measure import Round, latencies, saturate
from benchmarks.report import write_report
from benchmarks.server import ROOT

LOADS = (0.5, 0.8)
RUNTIMES = ("onnxruntime>=1.20,<2", "openvino>=2025", "tf2onnx", "tensorflow>=2.20,<2.22")


def saturation(host: Host, seconds: float) -> float:
    """Start a host, find how many requests a second it answers, stop it."""
    with hosted(host) as running:
        return asyncio.run(saturate(running, seconds))


def one_round(host: Host, most: float, seconds: float) -> Round:
    """Start a host, measure it, stop it; ``most`` is what the offered loads are shares of."""
    with hosted(host) as running:
        rate = asyncio.run(saturate(running, seconds))
        offered = {
            share: asyncio.run(latencies(running, share, share * most, seconds)) for share in LOADS
        }
        return Round(host.name, running.seconds_to_ready, rate, running.megabytes(), offered)


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians over a host's rounds."""

    def middle(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(median(known), 2) if known else None

    return {
        "host": rounds[0].host,
        "requests_per_second": middle([r.requests_per_second for r in rounds]),
        **{
            f"{name}_at_{share:g}": middle([getattr(r.offered[share], name) for r in rounds])
            for share in LOADS
            for name in ("p50_ms", "p99_ms")
        },
        "megabytes": middle([r.megabytes for r in rounds]),
        "seconds_to_ready": middle([r.seconds_to_ready for r in rounds]),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as a Markdown table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> int:
    """Measure every host that can be set up, print the table and write it beside the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="for each measurement")
    parser.add_argument("--only", nargs="+", choices=[host.name for host in HOSTS])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    hosts = [host for host in HOSTS if not options.only or host.name in options.only]
    for host in hosts:
        environment(host)
    if not options.only:
        out = ("--out", options.out.with_name("networks.json")) if options.out else ()
        python = made("runtimes", RUNTIMES) / "python"
        subprocess.run([python, "-m", "benchmarks.peers.networks", *out], cwd=ROOT, check=True)
    # Of this service: what one round alone finds was a fifth off.
    most = median(saturation(hosts[0], options.seconds) for _ in range(options.rounds))
    done: dict[str, list[Round]] = {host.name: [] for host in hosts}
    for _ in range(options.rounds):
        for host in hosts:
            done[host.name].append(one_round(host, most, options.seconds))
            print(asdict(done[host.name][-1]), flush=True)
    rows = [summary(rounds) for rounds in done.values()]
    print(table(rows))
    if options.out:
        write_report(
            options.out,
            saturation_per_second=most,
            hosts=rows,
            rounds=[asdict(r) for rounds in done.values() for r in rounds],
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
