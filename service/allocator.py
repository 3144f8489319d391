"""What the C library does with the memory of pictures that have been answered."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD
_LARGE = 1 << 20  # bytes: a 512x512 picture is smaller, and stays cheap


def give_back_large_blocks() -> None:
    """Let every large block be the system's again once it is free (glibc; nothing elsewhere).

    By itself glibc keeps what it has seen freed, up to 32 MB a block, in heaps that pictures of
    many sizes leave full of holes.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, 16 * _LARGE)
