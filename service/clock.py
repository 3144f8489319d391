"""Notices that the clock was set. Nothing depends on it but the times in logs and traces."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from service.metrics import Metrics

_log = structlog.get_logger()
_EVERY_SECONDS = 1.0
_JUMP_SECONDS = 1.0  # less is how a clock is kept right


@asynccontextmanager
async def watched_clock(metrics: Metrics) -> AsyncIterator[None]:
    """Log and count each jump of the wall clock against the monotonic one while the block runs."""
    task = asyncio.create_task(_watch(metrics))
    try:
        yield
    finally:
        task.cancel()


async def _watch(metrics: Metrics) -> None:
    before = time.time() - time.monotonic()
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        now = time.time() - time.monotonic()
        if abs(now - before) > _JUMP_SECONDS:
            metrics.clock_jumped()
            _log.warning("the clock jumped", seconds=round(now - before, 1))
        before = now
