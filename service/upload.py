"""A request body to image bytes: multipart or raw, counted as it arrives, never on disk."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from emotion.errors import EmotionError

FIELDS = ("image", "file")
_LINGER_SECONDS = 0.5


class BodyTooLargeError(EmotionError):
    """The request body has more bytes than the limit."""


class BadUploadError(EmotionError):
    """The request does not carry exactly one image."""


class UnsupportedBodyError(EmotionError):
    """The body's content type is neither multipart nor an image."""


async def read_image(request: Request) -> bytes:
    """Return the bytes of the one image in a request.

    Raises:
        BodyTooLargeError: more bytes than the setting ``max_body_bytes``.
        BadUploadError: no image, more than one, or a broken multipart body.
        UnsupportedBodyError: another content type.
    """
    limit: int = request.app.state.runtime.settings.max_body_bytes
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = _limited(request, limit)
    if kind == "multipart/form-data":
        return await _from_form(request, body)
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        return b"".join([chunk async for chunk in body])
    raise UnsupportedBodyError(
        f"The content type {kind} is not served: send a multipart form with the field `image`, or "
        "the image's bytes with a content type such as image/jpeg."
    )


ImageBytes = Annotated[bytes, Depends(read_image)]

REQUEST_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"image": {"type": "string", "format": "binary"}},
                "required": ["image"],
            }
        },
        **{
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/jpeg", "image/png", "image/webp", "image/bmp")
        },
    },
}


class _InMemoryParser(MultiPartParser):
    spool_max_size = sys.maxsize  # Starlette's default writes uploads over 1 MB to disk


async def _from_form(request: Request, body: AsyncGenerator[bytes, None]) -> bytes:
    try:
        form = await _InMemoryParser(request.headers, body, max_files=4, max_fields=4).parse()
    except MultiPartException as error:
        raise BadUploadError(f"The multipart body cannot be read: {error.message}") from error
    try:
        images = [value for name in FIELDS for value in form.getlist(name)]
        if len(images) != 1:
            names = ", ".join(form.keys()) or "none"
            raise BadUploadError(
                "Send exactly one image, in the field `image` (or `file`). "
                f"{len(images)} were sent; the fields were: {names}."
            )
        if not isinstance(images[0], UploadFile):
            raise BadUploadError(
                "The field holds text, not a file: with curl, write -F image=@photo.jpg."
            )
        return await images[0].read()
    finally:
        await form.close()


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    declared = request.headers.get("content-length", "0")
    received = 0 if int(declared) <= limit else limit + 1
    stream = request.stream()
    if received <= limit:
        async for chunk in stream:
            received += len(chunk)
            if received > limit:
                break
            yield chunk
    if received > limit:
        await _linger(stream)
        raise BodyTooLargeError(
            f"The body has more than {limit:,} bytes: send a smaller or more compressed picture."
        )


async def _linger(stream: AsyncGenerator[bytes, None]) -> None:
    """Take in a little more of a body that is too long.

    Closing a connection with unread data resets it, and the client would lose the answer that
    tells it why.
    """
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            async for _ in stream:
                pass
    except TimeoutError:
        return
