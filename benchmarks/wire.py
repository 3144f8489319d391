"""A client that costs little: requests made beforehand, answers read for status and headers alone.

Where client and server share a machine, what the client spends is missing to the server, and one
that cannot keep up hides what happens under load.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Self
from urllib.parse import urlsplit

import httptools

KEPT: Mapping[str, str] = MappingProxyType({})  # the connection stays open
CLOSED: Mapping[str, str] = MappingProxyType({"connection": "close"})
_CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class Reply:
    """What is kept of an answer: its status, or the name of what went wrong."""

    status: str
    retry_after: bool = False


def post(path: str, body: bytes, headers: Mapping[str, str] = KEPT) -> bytes:
    """Return a whole POST request; ``headers`` beside, or instead of, the usual ones."""
    usual = {"host": "localhost", "content-type": "application/octet-stream"}
    lines = {**usual, "content-length": str(len(body)), **headers}.items()
    head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines), "", ""]
    return "\r\n".join(head).encode() + body


class _Answer:
    """A whole one, as httptools reads it."""

    def __init__(self) -> None:
        self.complete = False
        self.body = bytearray()

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.complete = True


@contextmanager
def poster(url: str, body: bytes) -> Iterator[Callable[[], bytes]]:
    """Return what posts ``body`` to ``/predict``, over one connection, and returns the answer.

    Usual clients take longer than the service's part of HTTP does.
    """
    address = urlsplit(url)
    request = post("/predict", body)

    def ask() -> bytes:
        connection.sendall(request)
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            data = connection.recv(_CHUNK)
            if not data:
                raise ConnectionResetError(f"{url} closed the connection.")
            parser.feed_data(data)
        if parser.get_status_code() != HTTPStatus.OK:
            raise RuntimeError(answer.body.decode())
        return bytes(answer.body)

    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        yield ask


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._retry_after = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> "asyncio.Future[Reply]":
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._retry_after = False
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._parser is not None:
            self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._retry_after |= name.lower() == b"retry-after" and value.isdigit()

    def on_message_complete(self) -> None:
        assert self._parser is not None
        assert self._transport is not None
        if not self._parser.should_keep_alive():
            self._transport.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Reply(str(self._parser.get_status_code()), self._retry_after))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Reply(type(exc).__name__ if exc else "ConnectionClosed"))


class Client:
    """As many connections as requests are under way; an idle one is taken again."""

    def __init__(self, url: str, seconds: float = 60) -> None:
        """Ask the service at ``url``; give an answer up after so many ``seconds``."""
        self._seconds = seconds
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = (host, int(port))
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        """Connect on demand."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close what is open."""
        for connection in self._idle:
            connection.close()

    async def ask(self, request: bytes) -> Reply:
        """Send a request and wait for its answer; nothing is sent twice."""
        try:
            connection = await self._connection()
            async with asyncio.timeout(self._seconds):
                reply = await connection.ask(request)
        except OSError as error:  # TimeoutError is one
            return Reply(type(error).__name__)
        if connection.usable:
            self._idle.append(connection)
        return reply

    async def _connection(self) -> _Connection:
        while self._idle:
            if (connection := self._idle.pop()).usable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, *self._address)
        return connection
