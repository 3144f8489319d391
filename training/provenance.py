"""Which version of this code made something."""

import subprocess
from pathlib import Path


def git_commit() -> str:
    """Describe the checkout: its commit, with ``-dirty`` where files differ, or ``unknown``."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
