"""What int8 and the compiled detector bring on lesser CPUs: this one with instructions hidden.

Linux on Intel, and gcc. Each kind of CPU is a process of its own, in which ``hide_cpu.c`` answers
CPUID; within it what is compared alternates. One thread.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.bench import PHOTO, alternate
from emotion import Classifier
from emotion.compiled import CompiledDetector
from emotion.decode import decode
from emotion.interpreter import Interpreter
from emotion.machine import machine
from emotion.preprocess import face_pixels, face_tensor

KINDS = {"all instructions": "", "without AMX": "amx", "AVX2 alone": "avx512"}  # by what is hidden
_AVX_512F = 13  # of OpenCV's CpuFeatures


def measure(rounds: int) -> dict[str, float]:
    """Return milliseconds of what runs in this process, and what it sees of AVX-512."""
    cv2.setNumThreads(1)
    classifier = Classifier()
    store = classifier.store
    image = decode(PHOTO)
    face = face_pixels(image, classifier.detector.detect(image)[0].box)
    detectors = {"caffe": classifier.detectors.get("caffe")} | {
        record.name: CompiledDetector(
            record.name, partial(Interpreter, store.read_detector(record))
        )
        for record in store.detectors
    }
    found = alternate(rounds, *(partial(d.detect, image) for d in detectors.values()))
    whole = alternate(
        rounds,
        partial(classifier.predict, PHOTO, detector="caffe"),
        partial(classifier.predict, PHOTO, detector="compiled"),
    )
    artifacts = classifier.load()
    tensors = {a: face_tensor(face, a.record.input_size)[np.newaxis] for a in artifacts}
    networks = alternate(rounds, *(partial(a.run, tensor) for a, tensor in tensors.items()))
    return {
        **{f"detection, {name}": spent for name, spent in zip(detectors, found, strict=True)},
        "whole call, caffe": whole[0],
        "whole call, compiled": whole[1],
        **{a.record.name: spent for a, spent in zip(artifacts, networks, strict=True)},
        "AVX-512": float(cv2.checkHardwareSupport(_AVX_512F)),
    }


def hidden(hide: str, library: Path, rounds: int) -> dict[str, float]:
    """Measure in a process that does not see some instructions.

    Raises:
        RuntimeError: it sees them all the same; this kernel or CPU cannot hide them.
    """
    command = [sys.executable, "-m", "benchmarks.lesser_cpus", "--rounds", str(rounds), "--here"]
    given = {"LD_PRELOAD": str(library), "HIDE": hide} if hide else {}
    done = subprocess.run(command, env=os.environ | given, stdout=subprocess.PIPE, check=True)
    spent: dict[str, float] = json.loads(done.stdout)
    if spent.pop("AVX-512") and hide == "avx512":
        raise RuntimeError("AVX-512 is still seen: CPUID cannot be made to fault here.")
    return {name: round(milliseconds, 3) for name, milliseconds in spent.items()}


def main() -> int:
    """Print the table, and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lesser_cpus", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", action="store_true", help="measure in this very process")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.rounds)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "hide_cpu.so"
        source = Path(__file__).with_name("hide_cpu.c")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        kinds = {kind: hidden(hide, library, options.rounds) for kind, hide in KINDS.items()}
    width = max(map(len, next(iter(kinds.values()))))
    print(" " * width, *(f"{kind:>17}" for kind in kinds))
    for name in next(iter(kinds.values())):
        print(f"{name:{width}}", *(f"{spent[name]:17.2f}" for spent in kinds.values()))
    if options.out:
        report = {
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
            "milliseconds": kinds,
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
