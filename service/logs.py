"""Structured logs: one JSON object a line, with the request id and never an image."""

import io
import logging
import os
import stat
import time
from collections.abc import Callable
from typing import Any

import structlog
from asgi_correlation_id import correlation_id

from service.tracing import trace_ids


class LineHandler(logging.Handler):
    """Writes each line at once to a file; what it cannot write is lost, and counted.

    A buffer would keep half a line for when the disk has room again, and fail at the exit.
    """

    def __init__(self, file: io.RawIOBase, on_loss: Callable[[], None]) -> None:
        super().__init__()
        self._file = file
        self._on_loss = on_loss
        self._lost = 0
        self._torn = False  # whether the last line has no end

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and before it how many were lost, where some were."""
        try:
            if self._lost and self._write(self.format(_loss(self._lost))):
                self._lost = 0
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        if self._lost or not self._write(line):
            self._lost += 1
            self._on_loss()

    def _write(self, line: str) -> bool:
        data = f"{self._torn * chr(10)}{line}\n".encode(errors="backslashreplace")
        try:
            written = self._file.write(data) or 0
        except OSError:
            return False
        self._torn = 0 < written < len(data) or (self._torn and not written)
        return written == len(data)


def _loss(lines: int) -> logging.LogRecord:
    text = f"{lines} log lines could not be written"
    return logging.LogRecord(__name__, logging.ERROR, __file__, 0, text, None, None)


class Seldom:
    """Writes at most one warning a second: no line for each of a flood."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def warn(self, log: Any, event: str, **facts: object) -> None:
        """Write a warning, or nothing where the last one was a moment ago."""
        if time.monotonic() - self._last > 1:
            self._last = time.monotonic()
            log.warning(event, **facts)


def configure_logs(level: str, on_loss: Callable[[], None] = lambda: None) -> None:
    """Send this package's and every library's log lines to standard output as JSON.

    ``on_loss`` is told of each line that could not be written.
    """
    current = trace_ids()

    def add_trace(
        logger: Any, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event.update(current())
        return event

    shared: list[structlog.typing.Processor] = [
        _add_request_id,
        add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        os.set_blocking(1, False)  # else a reader that sleeps would stop the service
    handler = LineHandler(io.FileIO(1, "w", closefd=False), on_loss)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("PIL").setLevel(logging.INFO)  # below that it tells of what is in pictures
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # and this of bytes of bodies
    logging.getLogger("uvicorn.access").disabled = True  # AccessMiddleware's lines replace it


def _add_request_id(
    logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if (request_id := correlation_id.get()) is not None:
        event["request_id"] = request_id
    return event
