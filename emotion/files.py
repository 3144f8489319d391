"""Reads picture files, none of which may fill the memory."""

import stat
from pathlib import Path
from typing import TypeAlias

from emotion.errors import ImageTooLargeError, UnreadableFileError

ImageSource: TypeAlias = bytes | str | Path
MAX_BYTES = 400_000_000  # more than the largest picture within the limits of pixels needs


def read_image(path: Path, *, pipes: bool = True) -> bytes:
    """Return a file's content.

    Args:
        path: the file.
        pipes: whether it may be a pipe or device, on which reading can wait for ever.

    Raises:
        UnreadableFileError: missing, forbidden, or no file.
        ImageTooLargeError: more than ``MAX_BYTES``.
    """
    try:
        status = path.stat()
        regular = stat.S_ISREG(status.st_mode)
        if not regular and not pipes:
            raise UnreadableFileError(f"No regular file: {path}.")
        if regular and status.st_size > MAX_BYTES:
            raise ImageTooLargeError(
                f"The file has {status.st_size:,} bytes: at most {MAX_BYTES:,} are accepted."
            )
        with path.open("rb") as file:
            content = file.read(1 + (status.st_size if regular else MAX_BYTES))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise UnreadableFileError(f"Cannot read {path}: {reason}.") from error
    if len(content) > MAX_BYTES:
        raise ImageTooLargeError(f"The file has more than {MAX_BYTES:,} bytes.")
    return content


def image_bytes(image: ImageSource) -> bytes:
    """Return an encoded image; raises TypeError and the errors of ``read_image``."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | Path):
        return read_image(Path(image))
    raise TypeError(
        f"image is the path of a JPEG, PNG, WebP or BMP file, or its bytes, "
        f"not {type(image).__name__}: encode an array first."
    )
