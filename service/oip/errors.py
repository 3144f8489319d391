"""What only a protocol request can do wrong."""

from emotion.errors import EmotionError


class BadInferenceError(EmotionError):
    """The request is not one of the protocol, or not one that the model's metadata allows."""
