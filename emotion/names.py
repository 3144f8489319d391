"""Names as people write them in one value."""

from collections.abc import Iterable


def split(values: Iterable[str]) -> list[str]:
    """Take repeated and comma-separated values apart; spaces around a name do not count."""
    return [name for value in values for part in value.split(",") if (name := part.strip())]
