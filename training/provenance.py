"""Which version of this code made something."""

import subprocess


def git_commit() -> str:
    """Describe the checkout: its commit, with ``-dirty`` where files differ, or ``unknown``."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
