"""Objects that only one thread may use at a time, shared between threads."""

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Budget:
    """Bytes that pools may spend on more than one object each; who comes first, takes."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, amount: int) -> bool:
        """Take so many bytes, or none and return False."""
        with self._lock:
            if amount > self._left:
                return False
            self._left -= amount
            return True

    def give(self, amount: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._left += amount


class Pool(Generic[T]):
    """Lends objects; makes the first at once and more only when all are lent, up to a bound."""

    def __init__(
        self, make: Callable[[], T], size: int, budget: Budget | None = None, cost: int = 0
    ) -> None:
        """Make the first object, so that an error shows here and not at the first loan.

        Every further one takes ``cost`` from the ``budget``, until the pool itself goes.
        """
        self._make = make
        self._budget, self._cost = budget or Budget(0), cost
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

    @contextmanager
    def lend_idle(self) -> Iterator[T | None]:
        """Lend an object that waits to be lent for a ``with`` block, or None where none does."""
        try:
            item = self._idle.get_nowait()
        except queue.Empty:
            yield None
            return
        try:
            yield item
        finally:
            self._idle.put(item)

    def fill(self) -> None:
        """Make all objects now rather than when they are first needed."""
        while self._may_make_one():
            self._idle.put(self._make_allowed())

    def _take(self) -> T:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            if self._may_make_one():
                return self._make_allowed()
            return self._idle.get()

    def _may_make_one(self) -> bool:
        if not self._may_make.acquire(blocking=False):
            return False
        if not self._budget.take(self._cost):
            self._may_make.release()
            return False
        return True

    def _make_allowed(self) -> T:
        try:
            made = self._make()
        except BaseException:
            self._budget.give(self._cost)
            self._may_make.release()
            raise
        weakref.finalize(self, self._budget.give, self._cost)
        return made
