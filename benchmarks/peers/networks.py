"""The networks alone: LiteRT against ONNX Runtime and OpenVINO, the same artifact, one thread.

OpenVINO reads the ``.tflite`` file itself; for ONNX Runtime tf2onnx converts it. Runs in an
environment of its own: ``make peers`` makes it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import openvino

from benchmarks.report import write_report
from emotion.classifier import CHECKOUT_STORE
from emotion.interpreter import Interpreter
from emotion.store import ModelStore

Run = Callable[[Any], Any]
WARM_UP = 5
PRECISIONS = ("float32", "int8")


def litert(file: Path) -> Run:
    """As the service does."""
    return Interpreter(file.read_bytes()).run


def onnx_runtime(file: Path) -> Run:
    """ONNX Runtime on what tf2onnx makes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        command = [sys.executable, "-m", "tf2onnx.convert", "--tflite", file, "--output", model]
        subprocess.run([*command, "--opset", "17"], check=True, capture_output=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.read_bytes(), options)
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels})[0]


def open_vino(file: Path, **hints: str) -> Run:
    """OpenVINO on the file, for the least latency."""
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"} | hints
    model = core.compile_model(core.read_model(file), "CPU", settings)
    return lambda pixels: model(pixels)[0]


RUNTIMES = {
    "LiteRT": litert,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": open_vino,  # computes float32 in bfloat16 where the CPU has that
    "OpenVINO, f32": partial(open_vino, INFERENCE_PRECISION_HINT="f32"),
}


def measure(rounds: int) -> list[dict[str, Any]]:
    """Run every artifact in every runtime, call by call in turn."""
    store = ModelStore(CHECKOUT_STORE)
    rows = []
    for record in store.records:
        if record.precision not in PRECISIONS:
            continue
        runs: dict[str, Run] = {}
        for name, load in RUNTIMES.items():
            try:
                runs[name] = load(store.root / record.file)
            except Exception as error:  # a runtime that cannot take the artifact is a finding
                print(f"{record.name} in {name}: {str(error)[-300:]}", file=sys.stderr)
        pixels = np.random.default_rng(0).integers(0, 256, record.input.shape, np.uint8)
        reference = np.asarray(runs["LiteRT"](pixels))
        wall: dict[str, list[float]] = {name: [] for name in runs}
        cpu: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(WARM_UP + rounds):
            for name, run in runs.items():
                start, busy = time.perf_counter(), time.process_time()
                run(pixels)
                wall[name].append(1000 * (time.perf_counter() - start))
                cpu[name].append(1000 * (time.process_time() - busy))
        for name, run in runs.items():
            rows.append(
                {
                    "artifact": record.name,
                    "runtime": name,
                    "p50_ms": round(median(wall[name][WARM_UP:]), 3),
                    "cpu_ms": round(median(cpu[name][WARM_UP:]), 3),
                    "of_litert": round(
                        median(cpu[name][WARM_UP:]) / median(cpu["LiteRT"][WARM_UP:]), 2
                    ),
                    "largest_difference": float(np.abs(np.asarray(run(pixels)) - reference).max()),
                }
            )
            print(rows[-1], flush=True)
    return rows


def main() -> int:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.networks")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = measure(options.rounds)
    if options.out:
        write_report(options.out, rows=rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
