"""Which version of this code made something, and on what."""

import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage


def accelerators() -> list[str]:
    """Name the accelerators that Keras's backend trains on; none on a machine without."""
    import keras

    if keras.backend.backend() != "jax":
        devices: list[str] = keras.distribution.list_devices("gpu")
        return devices
    import jax

    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]


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


def peak_memory() -> int:
    """Return the most bytes that this process has held in memory."""
    unit = 1 if sys.platform == "darwin" else 1024  # of getrusage there, and elsewhere
    return unit * getrusage(RUSAGE_SELF).ru_maxrss
