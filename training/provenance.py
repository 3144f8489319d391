"""Which version of this code made something, and on what."""

import subprocess
from pathlib import Path


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
