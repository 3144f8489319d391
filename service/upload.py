"""A request body to image bytes: multipart or raw, counted as it arrives, never on disk."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeAlias

from fastapi import Depends, Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from emotion.errors import EmotionError
from service.engine import OverloadedError
from service.runtime import Runtime

Body: TypeAlias = AsyncGenerator[bytes, None]

FIELDS = ("image", "file")
_LINGER_SECONDS = 0.5  # how long an answered body is still taken in


class BodyTooLargeError(EmotionError):
    """The request body has more bytes than the limit."""


class BadUploadError(EmotionError):
    """The request does not carry exactly one image."""


class UnsupportedBodyError(EmotionError):
    """The body's content type is neither multipart nor an image."""


class UploadTimeoutError(EmotionError):
    """The body did not arrive in time."""


async def read_image(request: Request) -> bytes:
    """Return the bytes of the one image in a request.

    Raises:
        BodyTooLargeError: more bytes than the setting ``max_body_bytes``.
        BadUploadError: no image, more than one, or a broken multipart body.
        UnsupportedBodyError: another content type.
        UploadTimeoutError: not complete within the setting ``upload_seconds``.
        OverloadedError: too many uploads at once.
    """
    return await _receive(request, _read_image)


async def read_body(request: Request) -> bytes:
    """Return a request's body as it is, whatever its type; raises as ``read_image``."""
    return await _receive(request, _read_all)


async def _receive(request: Request, read: Callable[[Headers, Body], Awaitable[bytes]]) -> bytes:
    runtime: Runtime = request.app.state.runtime
    declared = int(request.headers.get("content-length", "0"))
    stream = request.stream()
    try:
        async with runtime.uploads, in_time(runtime.settings.upload_seconds):
            body = _limited(stream, declared, runtime.settings.max_body_bytes)
            return await read(request.headers, body)
    except UploadTimeoutError:
        raise
    except OverloadedError:  # the cheaper, the better
        if not goes_on(request):
            await linger(request, stream)
        raise
    except EmotionError:
        await linger(request, stream)
        raise


@asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """Raise UploadTimeoutError where the block, in which a body arrives, takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise UploadTimeoutError(
            f"The body did not arrive within {seconds:g} seconds: send it again, or send a "
            "smaller picture."
        ) from error


def goes_on(request: Request) -> bool:
    """Whether the connection outlives the request, so that its body is read to the end."""
    connection = request.headers.get("connection", "").lower().split(",")
    return request.scope["http_version"] == "1.1" and "close" not in map(str.strip, connection)


async def _read_all(headers: Headers, body: Body) -> bytes:
    coding = headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise UnsupportedBodyError(
            f"The content encoding {coding[:100]} is not served: send the body uncompressed."
        )
    return b"".join([chunk async for chunk in body])


async def _read_image(headers: Headers, body: Body) -> bytes:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(headers, body)
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        return b"".join([chunk async for chunk in body])
    raise UnsupportedBodyError(
        f"The content type {kind[:100]} is not served: send a multipart form with the field "
        "`image`, or the image's bytes with a content type such as image/jpeg."
    )


ImageBytes = Annotated[bytes, Depends(read_image)]


async def disconnected(request: Request) -> None:
    """Wait until the client of a request that was read is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


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


class _Parser(MultiPartParser):
    spool_max_size = sys.maxsize  # Starlette's default writes uploads over 1 MB to disk
    # Names are UTF-8 whatever the client says: Python has codecs that raise on any input.
    _charset = property(lambda self: "utf-8", lambda self, value: None)


async def _from_form(headers: Headers, body: Body) -> bytes:
    try:
        form = await _Parser(headers, body, max_files=4, max_fields=4).parse()
    except MultiPartException as error:
        raise BadUploadError(f"The multipart body cannot be read: {error.message}") from error
    try:
        images = [value for name in FIELDS for value in form.getlist(name)]
        others = [name for name in form if name not in FIELDS]
        if images and others:
            raise BadUploadError(
                f"Nothing reads the form's field {others[0][:100]!r}: parameters go in the query, "
                "as in /predict?model=resnet50&precision=int8."
            )
        if len(images) != 1:
            names = ", ".join(form.keys())[:100] or "none"
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


async def _limited(stream: Body, declared: int, limit: int) -> Body:
    received = 0
    if declared <= limit:
        async for chunk in stream:
            received += len(chunk)
            if received > limit:
                break
            yield chunk
        else:
            return
    raise BodyTooLargeError(
        f"The body has more than {limit:,} bytes: send a smaller or more compressed picture."
    )


async def linger(request: Request, stream: Body) -> None:
    """Take in a little more of a body that is refused.

    Closing a connection with unread data resets it, and the client would lose the answer that
    tells it why. One that asks before it sends has sent nothing yet, and reading would ask for it.
    """
    if awaits_leave(request):
        return
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            async for _ in stream:
                pass
    except (TimeoutError, ClientDisconnect):
        return


def awaits_leave(request: Request) -> bool:
    """Whether the client sends its body only when told to go on (RFC 9110, 10.1.1)."""
    return "expect" in request.headers
