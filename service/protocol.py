"""uvicorn's HTTP protocol with bounds on what is not body, which its fast parser lacks."""
# ruff: noqa: D102 (the methods are callbacks of asyncio's and httptools')

import asyncio
import sys
import time
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import refusal_of_connection

if sys.platform != "win32":
    import resource

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30
SPARE_DESCRIPTORS = 32  # for the store's files, logs and the like
_log = structlog.get_logger()


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections that are too many, or whose heads or trailers are too long or slow.

    The app's lifespan state says how many may be open (``max_connections``), and has the metrics.
    """

    _last_warning: ClassVar[float] = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._advanced = False  # whether the data brought a message or its body on
        self._head_bytes = 0  # since it last did: request line, headers or trailers
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._most_connections():
            self._refuse()
        else:
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

    def _most_connections(self) -> int:
        most = int(self.app_state["max_connections"])
        if sys.platform == "win32":
            return most
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return min(most, descriptors - SPARE_DESCRIPTORS)

    def _refuse(self) -> None:
        self.transport.write(refusal_of_connection())
        self.transport.close()
        self.app_state["metrics"].connection_refused()
        if time.monotonic() - BoundedProtocol._last_warning > 1:  # no line for each of a flood
            BoundedProtocol._last_warning = time.monotonic()
            _log.warning("connections refused", open=len(self.connections))

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
