"""Being told to end: readiness and whoever listens hear of it, whatever is held back."""

import asyncio
import signal

import pytest

from service.drain import Drain, hold_sigterm
from service.metrics import Metrics


def told(number: int, seconds: float) -> tuple[bool, bool, list[int]]:
    """Return whether it is draining and closing once that signal came, and what came through."""
    came: list[int] = []

    async def tell() -> Drain:
        drain = hold_sigterm(seconds, metrics)
        assert not drain.begun
        signal.raise_signal(number)
        assert drain.begun  # readiness may be asked at any moment
        await asyncio.sleep(0.05)
        return drain

    metrics = Metrics()
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        for ends in before:
            signal.signal(ends, lambda n, _: came.append(n))
        drain = asyncio.run(tell())
    finally:
        for ends, handler in before.items():
            signal.signal(ends, handler)
    ((_, _, gauge),) = metrics.samples("emotion_draining")
    assert gauge == 1
    return drain.begun, drain.closing.is_set(), came


@pytest.mark.parametrize(
    ("number", "seconds"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGINT, 60)]
)
def test_ports_close_at_once(number: int, seconds: float) -> None:
    assert told(number, seconds) == (True, True, [number])


def test_sigterm_is_held_back() -> None:
    assert told(signal.SIGTERM, 60) == (True, False, [])
    assert told(signal.SIGTERM, 0.01) == (True, True, [signal.SIGTERM])
