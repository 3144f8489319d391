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
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.bench import PHOTO, alternate
from benchmarks.report import write_report
from emotion import Classifier
from emotion.compiled import CompiledDetector
from emotion.decode import decode
from emotion.interpreter import Interpreter
from emotion.preprocess import face_pixels, face_tensor

KINDS = {"all instructions": "", "without AMX": "amx", "AVX2 alone": "avx512"}  # by what is hidden
_AVX_512F = 13  # of OpenCV's CpuFeatures


def measure(rounds: int) -> dict[str, float]:
    """Return milliseconds of what runs in this process.

    Raises:
        RuntimeError: it sees what is hidden; this kernel or CPU cannot hide it.
    """
    if os.environ.get("HIDE") == "avx512" and cv2.checkHardwareSupport(_AVX_512F):
        raise RuntimeError("AVX-512 is still seen: CPUID cannot be made to fault here.")
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
    }


def hidden(hide: str, library: Path, rounds: int) -> dict[str, float]:
    """Measure in a process that does not see some instructions."""
    command = [sys.executable, "-m", "benchmarks.lesser_cpus", "--rounds", str(rounds), "--here"]
    given = {"LD_PRELOAD": str(library), "HIDE": hide} if hide else {}
    done = subprocess.run(command, env=os.environ | given, stdout=subprocess.PIPE, check=True)
    spent: dict[str, float] = json.loads(done.stdout)
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
    names = list(next(iter(kinds.values())))
    width = max(map(len, names))
    print(" " * width, *(f"{kind:>17}" for kind in kinds))
    for name in names:
        print(f"{name:{width}}", *(f"{spent[name]:17.2f}" for spent in kinds.values()))
    if options.out:
        write_report(options.out, milliseconds=kinds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
