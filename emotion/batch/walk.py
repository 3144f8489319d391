"""Finds the pictures of a folder."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp")
_ENDS = tuple(suffix.encode() for suffix in SUFFIXES)


def find_pictures(
    folder: Path, others: Counter[str] | None = None
) -> Iterator[tuple[bytes, OSError | None]]:
    """Walk a folder and those in it.

    Links to files count as files; links to folders are not followed, so no loop is possible.
    Memory is needed for one folder's names at a time.

    Args:
        folder: where to begin.
        others: counts the files that are no pictures, by suffix; what is longer than a suffix or
            has no letters counts as "".

    Yields:
        The relative path of each file with a picture's suffix, and None; or the relative path of
        a folder that cannot be read, and why. Paths are bytes, because a name need not be text.
    """
    root = os.fsencode(folder)
    unreadable: list[OSError] = []
    for directory, _, names in os.walk(root, onerror=unreadable.append):
        yield from _relative(root, unreadable)
        for name in names:
            if name.lower().endswith(_ENDS):
                yield os.path.relpath(os.path.join(directory, name), root), None  # noqa: PTH118
            elif others is not None:
                suffix = re.search(rb"\.[a-z][a-z0-9]{0,5}$", name.lower())
                others[suffix[0].decode() if suffix else ""] += 1
    yield from _relative(root, unreadable)


def _relative(root: bytes, unreadable: list[OSError]) -> Iterator[tuple[bytes, OSError]]:
    while unreadable:
        error = unreadable.pop()
        yield os.path.relpath(os.fsencode(error.filename), root), error
