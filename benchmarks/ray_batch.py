"""The job on Ray Data with 1, 2 and 4 workers, and `emotion batch` beside it, on one folder.

Computes from each what a million such pictures cost at a price per core and hour. Writes JSON;
`make docs` puts it into docs/scale.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.bench import PHOTO
from benchmarks.capacity import above_zero
from benchmarks.report import load_per_core, write_report
from benchmarks.server import ROOT
from emotion.machine import usable_cores

PRICE = 0.04  # dollars for a core and an hour: about what clouds ask for one on demand


def cost_per_million(pictures_per_second: float, cores: int, price: float) -> float:
    """Return dollars for a million pictures: the hours they take, on so many cores."""
    return 1e6 / pictures_per_second / 3600 * cores * price


def seconds(command: list[str]) -> tuple[float, float, float]:
    """Run a job; returns how long it computed, on how much CPU, and how long it took to start."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", *command, "--json"],
        cwd=ROOT,
        env=os.environ | {"RAY_worker_niceness": "0"},  # as `emotion batch` has it
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return said["seconds"], said.get("cpu_seconds", spent), said.get("start_seconds", 0.0)


def main() -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_batch", description=__doc__)
    parser.add_argument("--pictures", type=int, default=8000)
    parser.add_argument("--shard", type=int, default=50)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--price", type=above_zero, default=PRICE, help="dollars per core and hour")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    busy, rows = load_per_core(), []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        for number in range(options.pictures):
            (folder / f"{number:06}.jpg").write_bytes(PHOTO)
        runs = {f"ray, {n}": n for n in options.workers} | {"emotion batch": usable_cores()}
        for name, workers in runs.items():
            out = str(Path(place) / name.replace(", ", "-"))
            command = ["cluster.batch", str(folder), "--out", out, "--workers", str(workers)]
            command += ["--shard", str(options.shard)]
            if name == "emotion batch":
                command = ["emotion", "batch", str(folder), "--out", f"{out}.parquet"]
            computing, spent, starting = seconds(command)
            speed = options.pictures / computing
            cores = min(workers, usable_cores())
            rows.append(
                {
                    "job": name,
                    "workers": workers,
                    "cores": cores,
                    "start_seconds": round(starting, 1),
                    "seconds": round(computing, 1),
                    "pictures_per_second": round(speed, 1),
                    "cpu_ms_per_picture": round(1000 * spent / options.pictures, 2),
                    "dollars_per_million": round(cost_per_million(speed, cores, options.price), 3),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    if options.out:
        write_report(
            options.out,
            cores=usable_cores(),
            load_per_core_before=round(busy, 2),
            pictures=options.pictures,
            dollars_per_core_hour=options.price,
            rows=rows,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
