"""Directories in use: none is deleted while somebody, in whatever process, reads from it.

Only a directory with a lock file beside it can be held: one that others may delete.
"""

import os
import shutil
import sys
import weakref
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Hold:
    """Holds a directory until this object is gone, beside any number of others."""

    def __init__(self, directory: Path, *, make: bool = False) -> None:
        """Wait for whoever is deleting it; whether it is there is not looked at.

        Args:
            directory: without a lock file, or with one that cannot be locked, it is not held.
            make: make the lock file if there is none.
        """
        handle = _lock(directory, exclusive=False, make=make)
        if handle is not None:
            weakref.finalize(self, os.close, handle)


def delete_unheld(directory: Path) -> bool:
    """Delete a directory and its lock file, unless somebody holds it; raises OSError."""
    if sys.platform == "win32":
        shutil.rmtree(directory)
        return True
    handle = _lock(directory, exclusive=True, make=True)
    if handle is None:
        return False
    try:
        shutil.rmtree(directory)
        _lock_file(directory).unlink()
    finally:
        os.close(handle)
    return True


def _lock_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


def _lock(directory: Path, *, exclusive: bool, make: bool) -> int | None:
    """Return the open lock file; None where it is not there or, if ``exclusive``, held."""
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(_lock_file(directory), os.O_RDONLY | (os.O_CREAT if make else 0), 0o644)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError:
        os.close(handle)
        return None
    return handle
