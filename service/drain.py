"""Tells when the service ends, and lets a load balancer leave before the ports close."""

import asyncio
import signal
import threading
from dataclasses import dataclass, field
from types import FrameType

import structlog

from service.metrics import Metrics

_log = structlog.get_logger()
_ENDS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Drain:
    """Whether the service has been told to end, and whether its ports close."""

    begun: bool = False
    closing: asyncio.Event = field(default_factory=asyncio.Event)


def hold_sigterm(seconds: float, metrics: Metrics) -> Drain:
    """Hold the first SIGTERM back for ``seconds``, in which the returned state says ``begun``.

    A second one is not held back, nor is SIGINT: as it is passed on, ``closing`` is set. Called
    where the signals' handlers are set already and a loop runs; outside the main thread, which
    alone has signals, nothing changes.
    """
    drain = Drain()
    if threading.current_thread() is not threading.main_thread():
        return drain
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in _ENDS}

    def hold(number: int, frame: FrameType | None) -> None:
        signal.signal(number, close)
        begin()
        loop.call_soon_threadsafe(loop.call_later, seconds, signal.raise_signal, number)

    def close(number: int, frame: FrameType | None) -> None:
        for ends, handler in handlers.items():
            signal.signal(ends, handler)
        begin()
        loop.call_soon_threadsafe(drain.closing.set)
        signal.raise_signal(number)

    def begin() -> None:
        if not drain.begun:
            drain.begun = True
            loop.call_soon_threadsafe(tell)

    def tell() -> None:
        metrics.draining()
        _log.info("draining", seconds=seconds)

    signal.signal(signal.SIGTERM, hold if seconds else close)
    signal.signal(signal.SIGINT, close)
    return drain
