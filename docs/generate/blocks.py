"""Generated parts of a page, between ``<!-- generated: NAME -->`` and ``<!-- end -->``."""

import re
from collections.abc import Callable, Mapping

Block = Callable[[], str]

_MARKED = re.compile(r"(<!-- generated: (?P<name>.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: str, blocks: Mapping[str, Block]) -> str:
    """Return the page with every marked part made again.

    Raises:
        KeyError: the page marks a part that nothing makes.
    """

    def made(match: re.Match[str]) -> str:
        return f"{match[1]}{blocks[match['name']]().strip()}\n{match[3]}"

    return _MARKED.sub(made, page)


def names(page: str) -> list[str]:
    """Return the names of the parts that a page marks."""
    return [match["name"] for match in _MARKED.finditer(page)]


def kept_cell(kept: bool) -> str:
    """Say in a table whether a promise is kept."""
    return "yes" if kept else "**no**"
