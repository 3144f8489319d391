"""Lets a load balancer leave before the port closes."""

import asyncio
import signal
import threading
from dataclasses import dataclass
from types import FrameType

import structlog

from service.metrics import Metrics

_log = structlog.get_logger()


@dataclass
class Drain:
    """Whether the service has been told to end."""

    begun: bool = False


def hold_sigterm(seconds: float, metrics: Metrics) -> Drain:
    """Hold the first SIGTERM back for ``seconds``, in which the returned state says ``begun``.

    A second one is not held back. Called where SIGTERM's handler is set already and a loop runs;
    with no time to hold it, or outside the main thread, which alone has signals, nothing changes.
    """
    drain = Drain()
    if seconds == 0 or threading.current_thread() is not threading.main_thread():
        return drain
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)

    def begin(number: int, frame: FrameType | None) -> None:
        drain.begun = True
        signal.signal(number, stop)
        loop.call_soon_threadsafe(wait, number)

    def wait(number: int) -> None:
        metrics.draining()
        _log.info("draining", seconds=seconds)
        loop.call_later(seconds, signal.raise_signal, number)

    signal.signal(signal.SIGTERM, begin)
    return drain
