"""Artifacts as memory-mapped files that nobody else can change.

LiteRT packs the weights into memory of its own when it loads a model, and hardly reads the file
again. Mapped, the file's pages can be given back to the system then; as bytes they would stay.
"""

import ctypes
import mmap
import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class MappedModel:
    """A ``.tflite`` file's content in a file without a name.

    Not the file of the store: whoever shortens that in place would end a process that maps it.
    """

    def __init__(self, content: bytes) -> None:
        """Write the content to the temporary directory; raises OSError where it has no room."""
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._lock = threading.Lock()

    @contextmanager
    def loading(self) -> Iterator[str]:
        """Lend a path to load the model from; gives back the pages that this has read."""
        # One at a time: between the look into the maps and the advice no map may go.
        with self._lock:
            yield f"/proc/self/fd/{self._descriptor}"
            self._give_back_pages()

    def _give_back_pages(self) -> None:
        inode = str(os.fstat(self._descriptor).st_ino)
        libc = ctypes.CDLL(None)
        for line in Path("/proc/self/maps").read_text().splitlines():
            addresses, _, _, _, of, *_ = line.split()
            if of == inode:
                start, end = (int(address, 16) for address in addresses.split("-"))
                # They are read from the file again if need be.
                libc.madvise(
                    ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED
                )


def mapped(content: bytes) -> "MappedModel | bytes":
    """Map the content of a ``.tflite`` file, or return it as it is where that is not possible."""
    if sys.platform != "linux":
        return content
    try:
        return MappedModel(content)
    except OSError:  # no room in the temporary directory, or none at all
        return content
