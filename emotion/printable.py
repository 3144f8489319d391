"""Names as text that no terminal and no table takes for anything else."""

import os
import unicodedata

_CONTROLS = ("Cc", "Zl", "Zp")


def printable(name: str | bytes) -> str:
    r"""Show bytes that are no UTF-8 and control characters as \xff, so that a name is one line."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _CONTROLS else c
        for c in text
    )
