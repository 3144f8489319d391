"""Which request ids are taken from those who ask."""

from asgi_correlation_id.middleware import is_valid_uuid4

MAX_LENGTH = 64


def is_request_id(given: str) -> bool:
    """Whether it is a UUID in one of its spellings, which by themselves have any length."""
    return len(given) <= MAX_LENGTH and is_valid_uuid4(given)
