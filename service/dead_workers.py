"""Workers that were killed: what they counted as alive leaves the common numbers."""

import os
from pathlib import Path

import structlog
from prometheus_client import multiprocess

from emotion.store import alone

_log = structlog.get_logger()


def forget_dead_workers() -> int:
    """Log the workers that ended without saying so since the last call; returns how many."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return 0
    with alone(Path(directory), "Counting killed workers"):  # others may have started as well
        files = Path(directory).glob("gauge_live*_*.db")
        dead = {pid for file in files if not _alive(pid := int(file.stem.rpartition("_")[2]))}
        for pid in dead:
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
            _log.error("worker was killed", pid=pid)
    return len(dead)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
