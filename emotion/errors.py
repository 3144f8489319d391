"""What can go wrong, in the user's words.

Every message says what was wrong and what to do about it. Nothing here knows HTTP: a
table in the service maps these classes to status codes.
"""

import re


class EmotionError(Exception):
    """Base of every error this library raises on purpose."""


def name_of(error: Exception) -> str:
    """Name an error as the service's problem types are named: ``no-face`` for NoFaceError."""
    words = re.findall(r"[A-Z][a-z0-9]+|[A-Z]+", type(error).__name__.removesuffix("Error"))
    return "-".join(words).lower()


class UnreadableImageError(EmotionError):
    """The bytes claim to be an image of a served format but cannot be decoded."""


class UnreadableFileError(UnreadableImageError):
    """The image's file is missing or cannot be read."""


class UnsupportedFormatError(EmotionError):
    """The bytes are not an image of a served format."""


class ImageTooLargeError(EmotionError):
    """The image has more pixels than the limit."""


class ImageTooSmallError(EmotionError):
    """The image has fewer pixels than a face needs."""


class NoFaceError(EmotionError):
    """The detector found no face."""


class UnknownFaceError(EmotionError):
    """The image has fewer faces than the number of the one asked for."""


class UnknownArtifactError(EmotionError):
    """No artifact of that model and precision is in the store."""


class ArtifactUnavailableError(EmotionError):
    """The store lists the artifact, but its file is missing, damaged or not ours to run."""


class UnknownReportError(EmotionError):
    """The store's reports have no file of that name."""


class TooManyFacesError(EmotionError):
    """The image shows more faces than the limit."""


class StoreError(EmotionError):
    """The model store as a whole cannot be read or written."""


class RemoteStoreError(StoreError):
    """The model store elsewhere cannot be reached, or lacks an object."""


class DetectorMissingError(EmotionError):
    """The face detector's files were found nowhere, or are not the expected ones."""


def may_pass(error: Exception) -> bool:
    """Whether the same may succeed later: not where something is missing, or was read and wrong."""
    if not isinstance(error, EmotionError):
        return True
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
