"""The store's Markdown as HTML."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


def to_html(text: str) -> str:
    """Render CommonMark with tables; nothing in the text can become a script."""
    return str(_renderer().render(text))


@cache
def _renderer() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # not at the start, of which it would take a thirtieth

    return MarkdownIt("js-default")  # HTML in the text is shown, not taken; tables are rendered
