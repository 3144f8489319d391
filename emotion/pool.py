"""Objects that only one thread may use at a time, shared between threads."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Lends objects; makes the first at once and more only when all are lent, up to a bound."""

    def __init__(self, make: Callable[[], T], size: int) -> None:
        """Make the first object, so that an error shows here and not at the first loan."""
        self._make = make
        # Last in, first out: a calm service keeps using the one with warm caches.
        self._idle: queue.LifoQueue[T] = queue.LifoQueue()
        self._may_make = threading.Semaphore(size - 1)
        self._idle.put(make())

    @contextmanager
    def lend(self) -> Iterator[T]:
        """Lend an object for a ``with`` block; waits while all of them are lent."""
        item = self._take()
        try:
            yield item
        finally:
            self._idle.put(item)

    def fill(self) -> None:
        """Make all objects now rather than when they are first needed."""
        while self._may_make.acquire(blocking=False):
            self._idle.put(self._make_allowed())

    def _take(self) -> T:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            if self._may_make.acquire(blocking=False):
                return self._make_allowed()
            return self._idle.get()

    def _make_allowed(self) -> T:
        try:
            return self._make()
        except BaseException:
            self._may_make.release()
            raise
