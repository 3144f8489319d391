"""uvicorn's HTTP protocol with bounds on what is not body, which its fast parser lacks."""
# ruff: noqa: D102 (the methods are callbacks of asyncio's and httptools')

import asyncio
from collections import Counter
from typing import Any, ClassVar

import httptools
import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.clients import network_of
from service.logs import Seldom
from service.problems import refusal_of_connection

MAX_HEAD_BYTES = 64 * 1024
MAX_PIPELINED = 16  # requests that wait for the answer to the one before
HEAD_SECONDS = 30
UNREAD_SECONDS = 30
_log = structlog.get_logger(__name__)  # or it would have the name of who warns
_warnings = Seldom()


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections that are too many, too slow, or that send or leave unread too much.

    The app's lifespan state says how many may be open (``most_connections``), of which one client
    may have three quarters, and has the metrics.
    No offer to speak another protocol is taken up, as servers may do (RFC 9110, 7.8).
    """

    _open: ClassVar[Counter[str]] = Counter()  # connections of each client's network

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._advanced = False  # whether the data brought a message or its body on
        self._head_bytes = 0  # since it last did: request line, headers or trailers
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None  # the request whose turn it is
        self.parser = _Parser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(self)
        self._answers = _Joined(transport, self.loop)
        transport.set_write_buffer_limits(0)  # to be told of whatever is not taken
        most = self.app_state["most_connections"]()
        self._network = network_of(self.client[0]) if self.client else ""
        BoundedProtocol._open[self._network] += 1
        if len(self.connections) > most or self._open[self._network] > max(1, most * 3 // 4):
            self._refuse()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        BoundedProtocol._open[self._network] -= 1
        if not self._open[self._network]:
            del BoundedProtocol._open[self._network]
        self._head_arrived()
        self._unread_taken()
        self.pipeline.clear()
        if self._answered:  # which is not the last that came where others wait
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._advanced = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._head_bytes = 0 if self._advanced else self._head_bytes + len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The request line and headers are too long.")
        elif self._idle() and self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        self._advanced = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._advanced = True
        self._head_arrived()
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            raise ValueError("too many requests at once")  # which stops the parser

    def on_body(self, body: bytes) -> None:
        self._advanced = True
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        if self._idle():
            super().send_400_response(msg)
        else:  # it would be taken for the answer to a request before
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        self._unread_taken()
        super().resume_writing()

    def head_without_offer(self) -> bytes:
        """Return the head that came last, without its offer to speak another protocol."""
        kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
        lines = [b"%b: %b\r\n" % header for header in kept]
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))

    def _should_upgrade(self) -> bool:
        return True  # to uvicorn, a head with an offer is none: it comes again without

    def on_response_complete(self) -> None:
        self._answers.flush()
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        cycle.transport = self._answers
        super()._start_asgi_task(cycle, app)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self) -> None:
        self.transport.write(refusal_of_connection())
        self.transport.close()
        self.app_state["metrics"].connections.refused()
        self._warn("connections refused")

    def _warn(self, what: str) -> None:
        _warnings.warn(_log, what, open=len(self.connections))

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_slow(self) -> None:
        if not self.transport.is_closing():
            self.app_state["metrics"].connections.dropped("head")
            self.transport.close()

    def _await_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._drop_unread, unread)

    def _unread_taken(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _drop_unread(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._await_reader()
        else:
            self.app_state["metrics"].connections.dropped("reader")
            self._warn("answers not taken")
            self.transport.abort()


class _Parser(httptools.HttpRequestParser):
    """Declines offers to speak another protocol.

    httptools takes a message that makes one for ended by its head: the body would be the next
    request, whoever wrote it.
    """

    def __init__(self, protocol: BoundedProtocol) -> None:
        super().__init__(protocol)
        self._protocol = protocol
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's

    def feed_data(self, data: Any) -> None:
        feed = super().feed_data
        while True:
            try:
                return feed(data)
            except httptools.HttpParserUpgrade as offer:
                if self._protocol.parser.get_method() == b"CONNECT":  # an offer by itself
                    raise httptools.HttpParserError("CONNECT is not served") from None
                data = self._protocol.head_without_offer() + data[offer.args[0] :]
                self._protocol.parser = after = _Parser(self._protocol)
                feed = super(_Parser, after).feed_data


class _Joined(asyncio.Transport):
    """Writes what is given at once in one go: the head and body of an answer come apart.

    It saves a system call, and the client may wake up once.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Write now."""
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class _Flow(FlowControl):
    """Reads nothing more while requests wait: those have all that has been read already."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        super().__init__(protocol.transport)
        self._pipeline = protocol.pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()
