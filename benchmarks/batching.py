"""Several images in one call of a network against one by one, in CPU time of one thread.

Then the same of several requests: see ``benchmarks.microbatching``.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import microbatching
from benchmarks.report import write_report
from emotion.classifier import CHECKOUT_STORE
from emotion.interpreter import MOST_AT_ONCE, Interpreter
from emotion.store import ModelStore


@dataclass(frozen=True)
class Batch:
    """What so many images cost in one artifact; milliseconds for all of them."""

    artifact: str
    images: int
    one_by_one: float
    at_once: float
    ratio: float  # how many times faster
    same_answers: bool


def measure(store: ModelStore, rounds: int) -> Iterator[Batch]:
    """Measure every artifact of the store, both ways in turn."""
    random = np.random.default_rng(0)
    for record in store.records:
        # two interpreters, since a changed number of images costs a little
        one, several = (Interpreter(store.read(record)) for _ in range(2))
        for images in (2, 4, MOST_AT_ONCE):
            tensors = random.integers(0, 256, (images, *record.input.shape[1:]), np.uint8)
            singly = [one.run(tensor[np.newaxis])[0] for tensor in tensors]
            same = np.array_equal(singly, several.run(tensors))
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                start = time.thread_time()
                for tensor in tensors:
                    one.run(tensor[np.newaxis])
                middle = time.thread_time()
                several.run(tensors)
                times[0].append(1000 * (middle - start))
                times[1].append(1000 * (time.thread_time() - middle))
            alone, together = median(times[0]), median(times[1])
            yield Batch(
                artifact=record.name,
                images=images,
                one_by_one=round(alone, 3),
                at_once=round(together, 3),
                ratio=round(alone / together, 2),
                same_answers=bool(same),
            )


def main() -> int:
    """Print what was measured, and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=9, help="for each way to gather faces")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    store = ModelStore(CHECKOUT_STORE)
    batches = _printed(measure(store, options.rounds))
    gathered = _printed(microbatching.measure(store, options.seconds))
    if options.out:
        write_report(options.out, batches=batches, gathered=gathered)
    return 0


def _printed(measured: Iterable[Batch | microbatching.Gathered]) -> list[dict[str, object]]:
    rows = []
    for one in measured:
        rows.append(asdict(one))
        print(" ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
