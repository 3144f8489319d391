"""How many connections a process can hold."""

import sys

if sys.platform != "win32":
    import resource

SPARE_DESCRIPTORS = 32  # for the store's files, logs and the like
SPARE_FOR_GRPC = 32  # its core's own


def most_connections(wanted: int, *, with_grpc: bool) -> int:
    """Return how many of the ``wanted`` connections each port may hold: all at once must fit."""
    if sys.platform == "win32":
        return wanted
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    left = descriptors - SPARE_DESCRIPTORS
    if with_grpc:
        left = (left - SPARE_FOR_GRPC) // 2
    return max(1, min(wanted, left))
