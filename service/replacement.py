"""Starting a worker that takes a killed one's place."""

import asyncio
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog
from fastapi.concurrency import run_in_threadpool

from service.drain import Drain

T = TypeVar("T")

_PAUSE_SECONDS = 1.0
_log = structlog.get_logger()


async def started(make: Callable[[], T], drain: Drain) -> T:
    """Make in a thread what a worker needs to serve, and try again where others serve already.

    uvicorn ends the whole service where one worker cannot start, for then none could. But a
    worker that replaces a killed one may find a store that the others have refused: they serve on
    from memory, and it waits until there is one to serve.

    Raises whatever ``make`` raises, where no worker has started before or the service ends.
    """
    told = ""
    while True:
        try:
            made = await run_in_threadpool(make)
        except Exception as error:
            if drain.begun or not _other_served():
                raise
            if told != str(error):  # one line, however often it is tried
                told = str(error)
                _log.error("worker cannot start yet", reason=told)
            gc.collect()  # what was made in vain; by itself it waits for the start to be over
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            if (marker := _marker()) is not None:
                with suppress(OSError):  # a full disk: the service is as it was without this
                    marker.touch()
            return made


def _other_served() -> bool:
    marker = _marker()
    return marker is not None and marker.exists()


def _marker() -> Path | None:
    """Return the file that tells that a worker has started; None where there is one alone."""
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(shared) / "started" if shared else None
