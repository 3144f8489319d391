"""Several runs at once, each in a process of its own with its share of the cores."""

import multiprocessing
import os
from argparse import Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tqdm import tqdm

from emotion.machine import usable_cores

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def side_by_side(
    step: Callable[[Namespace], None], runs: Sequence[Namespace], processes: int
) -> None:
    """Call ``step`` with each of ``runs``, at most ``processes`` at once, and show how many ended.

    On two cores, two folds at once take four fifths of the time of one after the other: much of a
    training step keeps one core busy alone.

    Raises what the first run to fail raised, when all others have ended.
    """
    spawn = multiprocessing.get_context("spawn")
    threads = max(1, usable_cores() // processes)
    with (
        ProcessPoolExecutor(processes, spawn, _share, (threads,)) as pool,
        tqdm(total=len(runs), unit="run") as bar,
    ):
        failed = []
        for done in as_completed([pool.submit(step, run) for run in runs]):
            failed += [error] if (error := done.exception()) else []
            bar.update()
    if failed:
        raise failed[0]


def _share(threads: int) -> None:
    os.environ |= dict.fromkeys(_THREADS, str(threads)) | {"TQDM_DISABLE": "1"}
