"""What each way LiteRT can hold artifacts takes: memory, and a call's time.

For memory each way runs in a process of its own: it loads every artifact of the store once or twice
(for two requests at once), runs each, and looks at what the kernel counts. ``busy_cores`` tells
whether two threads get further together: an interpreter that keeps Python's lock leaves it at 1.

For time all ways are in one process, artifact by artifact, and their calls take turns.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.cpu_options import CpuOptions
from ai_edge_litert.interpreter import Interpreter as LiteRtInterpreter
from ai_edge_litert.options import Options

from benchmarks.bench import alternate
from benchmarks.report import write_report
from benchmarks.server import ROOT
from emotion.arrays import Floats, Pixels
from emotion.classifier import CHECKOUT_STORE
from emotion.interpreter import Interpreter
from emotion.mapped import MappedModel
from emotion.records import ArtifactRecord
from emotion.store import ModelStore

Run = Callable[[Pixels], Floats]


@dataclass(frozen=True)
class Way:
    """One way measured; megabytes."""

    way: str
    copies: int  # of each artifact's interpreter
    resident: float  # more than the process had before; pages mapped twice count twice
    proportional: float  # mapped twice, counted once
    files: float
    load_cpu_seconds: float
    busy_cores: float
    answers: str  # hash: the same where every answer is


def from_bytes(record: ArtifactRecord, content: bytes, copies: int) -> list[Run]:
    """The classic interpreter over the content in memory."""
    return [Interpreter(content).run for _ in range(copies)]


def from_path(record: ArtifactRecord, content: bytes, copies: int) -> list[Run]:
    """The classic interpreter, which maps the store's file."""
    return [_Classic(CHECKOUT_STORE / record.file).run for _ in range(copies)]


def given_back(record: ArtifactRecord, content: bytes, copies: int) -> list[Run]:
    """The classic interpreter over a mapped file whose pages are given back: the service's way."""
    model = MappedModel(content)
    return [Interpreter(model).run for _ in range(copies)]


def compiled(record: ArtifactRecord, content: bytes, copies: int) -> list[Run]:
    """LiteRT 2's CompiledModel over the store's file."""
    return [_Compiled(CHECKOUT_STORE / record.file, record).run for _ in range(copies)]


def compiled_with_cache(record: ArtifactRecord, content: bytes, copies: int) -> list[Run]:
    """CompiledModel with XNNPACK's weight cache, which the copies share."""
    cache = os.memfd_create(record.name)
    path = f"/proc/self/fd/{cache}"
    return [_Compiled(CHECKOUT_STORE / record.file, record, path).run for _ in range(copies)]


WAYS = {w.__name__: w for w in (from_bytes, from_path, given_back, compiled, compiled_with_cache)}


class _Classic:
    def __init__(self, path: Path) -> None:
        self._litert = LiteRtInterpreter(model_path=str(path), num_threads=1)
        self._litert.allocate_tensors()
        self._input = self._litert.get_input_details()[0]["index"]
        self._output = self._litert.get_output_details()[0]["index"]

    def run(self, tensor: Pixels) -> Floats:
        self._litert.set_tensor(self._input, tensor)
        self._litert.invoke()
        return np.asarray(self._litert.get_tensor(self._output), np.float32)


class _Compiled:
    def __init__(self, path: Path, record: ArtifactRecord, cache: str = "") -> None:
        options = CpuOptions(num_threads=1, xnnpack_weight_cache_path=cache)
        self._litert = CompiledModel.from_file(str(path), options=Options(cpu_options=options))
        self._inputs = self._litert.create_input_buffers(0)
        self._outputs = self._litert.create_output_buffers(0)
        self._size = int(np.prod(record.output.shape))

    def run(self, tensor: Pixels) -> Floats:
        self._inputs[0].write(tensor)
        self._litert.run_by_index(0, self._inputs, self._outputs)
        return np.asarray(self._outputs[0].read(self._size, np.float32))


def measure(way: str, copies: int) -> Way:
    """Load everything in this process and look."""
    store = ModelStore(CHECKOUT_STORE)
    random = np.random.default_rng(0)
    before, start = _megabytes(), time.process_time()
    loaded: list[tuple[ArtifactRecord, list[Run], Pixels]] = []
    answers = hashlib.sha256()
    for record in store.records:
        runs = WAYS[way](record, store.read(record), copies)
        tensor = random.integers(0, 256, record.input.shape, np.uint8)
        for run in runs:
            answer = run(tensor)
        answers.update(answer.tobytes())
        loaded.append((record, runs, tensor))
    load = time.process_time() - start
    after = _megabytes()
    largest = max(loaded, key=lambda one: one[0].bytes)
    return Way(
        way=way,
        copies=copies,
        resident=round(after["Rss:"] - before["Rss:"], 1),
        proportional=round(after["Pss:"] - before["Pss:"], 1),
        files=round(sum(r.bytes for r in store.records) / 1e6, 1),
        load_cpu_seconds=round(load, 2),
        busy_cores=round(_busy_cores(largest[1], largest[2]), 2) if copies > 1 else 1.0,
        answers=answers.hexdigest()[:12],
    )


def _busy_cores(runs: list[Run], tensor: Pixels, times: int = 20) -> float:
    """Compute in one thread; return what it and a thread that counts get done, as cores.

    In CPU time, which other programs on the machine do not change.
    """
    spent, done = [0.0], threading.Event()

    def count() -> None:
        start = time.thread_time()
        while not done.is_set():
            pass
        spent[0] = time.thread_time() - start

    other = threading.Thread(target=count)
    other.start()
    start = time.thread_time()
    for _ in range(times):
        runs[0](tensor)
    computed = time.thread_time() - start
    done.set()
    other.join()
    return 1 + min(spent[0] / computed, 1)


def p50_ms(rounds: int) -> dict[str, dict[str, float]]:
    """Return the median of calls on one core, by artifact and way."""
    store, medians = ModelStore(CHECKOUT_STORE), {}
    for record in store.records:
        tensor = np.random.default_rng(0).integers(0, 256, record.input.shape, np.uint8)
        runs = [way(record, store.read(record), 1)[0] for way in WAYS.values()]
        times = alternate(rounds, *(partial(run, tensor) for run in runs))
        medians[record.name] = {way: round(ms, 3) for way, ms in zip(WAYS, times, strict=True)}
    return medians


def _megabytes() -> dict[str, float]:
    rows = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    return {row[0]: int(row[1]) / 1000 for row in rows}


def _apart(*arguments: str) -> Any:
    """Return what this module prints in another process, without what LiteRT logs there."""
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Measure every way in turn, print, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="calls that are timed")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--way", choices=WAYS, help="its memory alone, in this process")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--times", action="store_true", help="the times alone, in this process")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(asdict(measure(options.way, options.copies))))
        return 0
    if options.times:
        print(json.dumps(p50_ms(options.rounds)))
        return 0
    ways = []
    for way in WAYS:
        for copies in (1, 2):
            ways.append(_apart("--way", way, "--copies", str(copies)))
            print(" ".join(f"{name} {value}" for name, value in ways[-1].items()), flush=True)
    medians = _apart("--times", "--rounds", str(options.rounds))
    for artifact, times in medians.items():
        print(artifact, " ".join(f"{way} {ms}" for way, ms in times.items()))
    if options.out:
        write_report(options.out, ways=ways, p50_ms=medians)
    return 0


if __name__ == "__main__":
    sys.exit(main())
