"""What was measured, as the JSON files of benchmarks/results hold it."""

import json
from datetime import UTC, datetime
from pathlib import Path

from emotion.machine import machine


def write_report(out: Path, **measured: object) -> None:
    """Write what was measured, and on which machine and day."""
    date = datetime.now(UTC).date().isoformat()
    report = {"machine": machine(), "date": date, **measured}
    out.write_text(json.dumps(report, indent=1) + "\n")
