"""Several runs at once, each in a process of its own with its share of the cores."""

import multiprocessing
from argparse import Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tqdm import tqdm

from emotion.machine import usable_cores
from training.apart import begin

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def side_by_side(
    step: Callable[[Namespace], None], runs: Sequence[Namespace], processes: int
) -> None:
    """Call ``step`` with each of ``runs``, at most ``processes`` at once, and show how many ended.

    On two cores, two folds at once take four fifths of the time of one after the other: much of a
    training step keeps one core busy alone.

    Raises what the first run to fail raised, when all others have ended. The processes end with
    this one, however it ends.
    """
    spawn = multiprocessing.get_context("spawn")
    processes = min(processes, len(runs))
    threads = str(max(1, usable_cores() // processes))
    environment = dict.fromkeys(_THREADS, threads) | {"TQDM_DISABLE": "1"}
    failed = []
    with ProcessPoolExecutor(processes, spawn, begin, (environment,)) as pool:
        try:
            waiting = as_completed([pool.submit(step, run) for run in runs])
            for done in tqdm(waiting, total=len(runs), unit="run"):
                failed += [error] if (error := done.exception()) else []
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failed:
        raise failed[0]
