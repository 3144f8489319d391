"""How many connections a process can hold."""

import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

SPARE_DESCRIPTORS = 32  # for what comes later: a newer store beside this one, logs and the like
SPARE_FOR_GRPC = 32  # its core's own


def descriptors_in_use() -> int:
    """Count this process's open files."""
    return 0 if sys.platform == "win32" else sum(1 for _ in Path("/dev/fd").iterdir())


def most_connections(wanted: int, in_use: int, *, with_grpc: bool) -> int:
    """Return how many of the ``wanted`` connections each port may hold: all at once must fit.

    ``in_use`` are the process's open files without any connection; every artifact has two.
    """
    if sys.platform == "win32":
        return wanted
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    left = descriptors - in_use - SPARE_DESCRIPTORS
    if with_grpc:
        left = (left - SPARE_FOR_GRPC) // 2
    return max(1, min(wanted, left))
