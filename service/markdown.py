"""The store's Markdown as HTML."""

from markdown_it import MarkdownIt

_renderer = MarkdownIt("js-default")  # HTML in the text is shown, not taken; tables are rendered


def to_html(text: str) -> str:
    """Render CommonMark with tables; nothing in the text can become a script."""
    return str(_renderer.render(text))
