"""``python -m emotion``: the same as the command ``emotion``."""

from emotion.cli import app

app()
