"""The ``emotion`` command, as a user types it."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.server import ROOT

EMOTION = Path(sys.executable).with_name("emotion")
PHOTO = ROOT / "examples" / "astronaut.jpg"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EMOTION, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=os.environ | environment,
    )
