"""What only a protocol request can do wrong."""

from pydantic import ValidationError

from emotion.errors import EmotionError


class BadInferenceError(EmotionError):
    """The request is not one of the protocol, or not one that the model's metadata allows."""

    @classmethod
    def at(cls, error: ValidationError) -> "BadInferenceError":
        """Tell where the first fault is."""
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        return cls(f"Not an inference request: {place + ': ' if place else ''}{first['msg']}.")
