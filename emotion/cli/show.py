"""What the commands show on a terminal, or in a pipe."""

import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emotion.printable import printable

_PIPE_WIDTH = 10_000  # nothing is folded or cut where another program reads


def title(text: str) -> Text:
    """Return text that may hold any file's name: nothing in it is markup or a control code."""
    lines = map(printable, text.split("\n"))
    return Text("\n".join(lines), no_wrap=True, overflow="ignore")


def tell_json(error: str, detail: str) -> None:
    """Print an error on standard output, too, where ``--json`` asks for it."""
    if "--json" in sys.argv:
        print(json.dumps({"error": error, "detail": detail}))


def show(table: Table) -> None:
    """Print a table; as wide as it is, unless a terminal is narrower."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    console.print(table)
