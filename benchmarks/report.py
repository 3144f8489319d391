"""What was measured, as the JSON files of benchmarks/results hold it."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from emotion.machine import machine


def write_report(out: Path, **measured: object) -> None:
    """Write what was measured, and on which machine and day."""
    date = datetime.now(UTC).date().isoformat()
    report = {"machine": machine(), "date": date, **measured}
    out.write_text(json.dumps(report, indent=1) + "\n")


def load_per_core(seconds: float = 2) -> float:
    """Return how busy the cores are, from 0 to 1, over so many seconds.

    The load average would remember for minutes what ended before.
    """
    before = _spent()
    time.sleep(seconds)
    busy, idle = (after - earlier for after, earlier in zip(_spent(), before, strict=True))
    return busy / (busy + idle)


def _spent() -> tuple[int, int]:
    """Ticks of all cores since the start of the machine: busy, idle; see proc_stat(5)."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, idle
