"""uvicorn's HTTP protocol with bounds on what is not body, which its fast parser lacks."""
# ruff: noqa: D102 (the methods are callbacks of asyncio's and httptools')

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose heads or trailers are too long, or whose heads are too slow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._advanced = False  # whether the data brought a message or its body on
        self._head_bytes = 0  # since it last did: request line, headers or trailers
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._advanced = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._head_bytes = 0 if self._advanced else self._head_bytes + len(data)
        answered = self.cycle is None or self.cycle.response_complete
        if self._head_bytes > MAX_HEAD_BYTES:
            if self.cycle is None:
                self.send_400_response("The request line and headers are too long.")
            else:
                self.transport.close()
        elif answered and self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        self._advanced = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._advanced = True
        self._head_arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._advanced = True
        super().on_body(body)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
