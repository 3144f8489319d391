"""Does the live service keep to its OpenAPI document? schemathesis tries every call.

It sends what the document allows and what it forbids; there may be no 5xx, no status, content type
or body that is not documented, nothing forbidden that is taken, nothing allowed that is refused.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.server import ROOT, Server, serving
from emotion.machine import machine

CONFIGURATION = ROOT / "benchmarks" / "contract.toml"


@dataclass(frozen=True)
class ContractReport:
    """What schemathesis found."""

    operations: int
    cases: int
    failed: bool
    examples: int  # most for each operation in the fuzzing phase
    seed: int
    machine: str
    date: str


def contract(server: Server, examples: int, seed: int = 0) -> tuple[ContractReport, str]:
    """Try every operation; returns the report and what schemathesis printed."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", f"{server.url}/openapi.json", "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"),
        *("--continue-on-failure", "--request-timeout", "60", "--no-color"),
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "benchmarks.contract_pictures",
        "PYTHONPATH": str(ROOT),
    }
    with tempfile.TemporaryDirectory() as folder:  # it would leave caches where it runs
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    said = done.stdout + done.stderr
    tested, cases = re.search(r"Tested: (\d+)", said), re.search(r"(\d+) generated", said)
    report = ContractReport(
        operations=int(tested[1]) if tested else 0,
        cases=int(cases[1]) if cases else 0,
        failed=done.returncode != 0,
        examples=examples,
        seed=seed,
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )
    return report, said


def main() -> int:
    """Run, print and write the report; 1 where the service broke its word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as logs,
        # a hundred repeats of nine artifacts may take longer than the default on a slow machine,
        # and 504 would be right
        serving(Path(logs) / "log.jsonl", deadline_seconds=60) as server,
    ):
        report, said = contract(server, options.examples, options.seed)
    text = json.dumps(asdict(report), indent=1)
    print(f"{said}\n{text}")
    if options.out:
        options.out.write_text(text + "\n")
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
