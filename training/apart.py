"""Work in a process of its own, which ends when it is done or its parent has ended."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[..., T], *arguments: object, **environment: str) -> T:
    """Return ``work(*arguments)``, called in a fresh process with these environment variables.

    Whatever memory it took is the system's again. All of it must be picklable.

    Raises what ``work`` raises, and BrokenProcessPool where the process was killed.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, begin, (environment,)) as pool:
        return pool.submit(work, *arguments).result()


def begin(environment: dict[str, str]) -> None:
    """Give this process, a child, these variables, and end it when its parent has, however."""
    os.environ |= environment
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 (this runs in a child)
    parent.join()
    os._exit(1)
