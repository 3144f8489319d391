"""Requests byte by byte, as no well-behaved client sends them."""

import asyncio
from contextlib import suppress

from benchmarks.server import Server


def address_of(server: Server) -> tuple[str, int]:
    """Return what a socket connects to."""
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


async def converse(server: Server, *parts: bytes, close: bool = False) -> bytes:
    """Send parts as fast as they are taken; return all that comes back within 3 seconds."""
    reader, writer = await asyncio.open_connection(*address_of(server))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return b"" if close else await asyncio.wait_for(reader.read(), 3)
    except ConnectionError:  # reset: an answer may have come before
        with suppress(ConnectionError):
            return await reader.read()
        return b""
    finally:
        writer.close()


def post(content_type: str, length: int | str, *more: str) -> bytes:
    lines = (
        "POST /predict HTTP/1.1",
        "Host: x",
        f"Content-Type: {content_type}",
        f"Content-Length: {length}",
        *more,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
