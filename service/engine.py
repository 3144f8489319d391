"""Runs the computing part of requests off the event loop, bounded in number and in time."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from emotion.errors import EmotionError

T = TypeVar("T")
Check = Callable[[], object]


class OverloadedError(EmotionError):
    """Too many requests are waiting."""


class DeadlineError(EmotionError):
    """The request could not be computed in time."""


class AbandonedError(EmotionError):
    """The client is gone."""


AT_ITS_LIMIT = "The service is at its limit: send the request again later."
_HOPELESS = 0.8  # of the deadline: what would probably take longer is refused instead
_WATCH_AFTER = 0.05  # seconds: most work that has a thread is done by then
_MEMORY = 0.1  # weight of the last piece of work in what one is expected to take
_helped: ContextVar[list[float]] = ContextVar("helped")  # seconds of other threads, for this work


@dataclass(frozen=True)
class Timing:
    """Milliseconds a piece of work waited for a thread, and took in all, waiting included."""

    queue: float
    total: float


def at_once(cores: int) -> int:
    """How many requests an engine for so many cores computes at once."""
    return cores + (cores > 1)


class Engine:
    """A thread per core, where there are several one more, and a bounded queue before them.

    Decoders, OpenCV and LiteRT release Python's lock while they compute, so threads really run
    in parallel, and share one copy of every model. The further thread computes while another
    waits for that lock.
    """

    def __init__(
        self,
        threads: int,
        max_waiting: int,
        deadline_seconds: float,
        on_change: Callable[[int, int], None] = lambda change, waiting: None,
    ) -> None:
        """Start for ``threads`` cores; at most ``max_waiting`` requests wait for a thread.

        ``on_change`` is told of every request that enters (1) or leaves (-1), and how many wait.
        """
        self._on_change = on_change
        self._threads = threads  # that a request may share its work out to
        self._at_once = at_once(threads)
        self._pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="engine")
        self._capacity = self._at_once + max_waiting
        self._deadline = deadline_seconds
        self._admitted = 0
        self._expected = 0.0  # seconds of one thread for one piece of work, as the last ones went
        self._helping = 0  # threads that do a part of another's work
        self._lock = threading.Lock()

    @property
    def has_free_core(self) -> bool:
        """Whether one more thread would have a core to itself."""
        return self._admitted + self._helping < self._threads

    @property
    def has_room(self) -> bool:
        """Whether a place in the queue is free, and it can be worked off in time."""
        ahead = self._admitted + 1 - self._at_once
        hopeless = ahead > 0 and (
            (ahead / self._at_once + 1) * self._expected > _HOPELESS * self._deadline
        )
        return not hopeless and self._admitted < self._capacity

    def check_room(self) -> None:
        """Raise OverloadedError where there is no room."""
        if not self.has_room:
            raise OverloadedError(AT_ITS_LIMIT)

    async def run(
        self, work: Callable[[Check], T], gone: Callable[[], Awaitable[object]] | None = None
    ) -> tuple[T, Timing]:
        """Compute ``work(check)`` in a thread.

        Work that had begun when the deadline passed or the client went goes on to its next
        ``check()``, and counts against the capacity until then; what had not begun is dropped.

        Args:
            work: what to compute; ``check()`` raises AbandonedError once nobody waits for it.
            gone: waits until nobody waits for the answer any more.

        Returns:
            Its result, and how long that took.

        Raises:
            OverloadedError: the queue is full.
            DeadlineError: no result within the deadline.
            AbandonedError: ``gone`` ended first.
        """
        self.check_room()
        submitted = time.perf_counter()
        waited = 0.0
        over = threading.Event()
        helped: list[float] = []

        def check() -> None:
            if over.is_set():
                raise AbandonedError("Nobody waits for the answer any more.")

        def timed() -> T:
            nonlocal waited
            waited = _milliseconds_since(submitted)
            _helped.set(helped)
            try:
                return work(check)
            finally:
                spent = (_milliseconds_since(submitted) - waited) / 1000 + sum(helped)
                self._expected += _MEMORY * (spent - self._expected)

        loop = asyncio.get_running_loop()
        self._admit(1)
        future = self._pool.submit(copy_context().run, timed)  # its log lines have the request id
        answer: asyncio.Future[T] = loop.create_future()
        # not by a function that knows the future: both would live until garbage is collected
        future.add_done_callback(partial(self._done, loop, answer))
        watch = _Watch()
        if gone:
            watch.begin(gone, answer, 0 if self._admitted > self._at_once else _WATCH_AFTER)
        try:
            async with asyncio.timeout(self._deadline):
                result = await answer
        except TimeoutError as error:
            raise DeadlineError(
                f"No answer within {self._deadline:g} seconds: ask for less (a smaller picture, "
                "fewer artifacts, a coarser grid), or send it again later."
            ) from error
        except asyncio.CancelledError:
            if watch.saw:
                raise AbandonedError("The client is gone.") from None
            raise
        finally:
            over.set()
            future.cancel()  # where it had not begun
            watch.end()
        return result, Timing(waited, _milliseconds_since(submitted))

    def share(self, work: Sequence[Callable[[], T]]) -> list[T]:
        """Run pieces of a request's work here, a thread of this engine, and on the free cores.

        Those go back to requests that come meanwhile, as soon as they have done their piece.

        Returns:
            The pieces' results, in order.

        Raises whatever a piece raises, once no other runs.
        """
        left, results = deque(enumerate(work)), dict[int, T]()
        seconds = _helped.get([])

        def take(enough: Callable[[], bool] = lambda: False) -> None:
            while not enough():
                try:
                    number, piece = left.popleft()
                except IndexError:
                    return
                try:
                    results[number] = piece()
                except BaseException:
                    left.clear()
                    raise

        def assist() -> None:
            start = time.perf_counter()
            try:
                take(lambda: self._admitted + self._helping > self._threads)
            finally:
                seconds.append(time.perf_counter() - start)

        helpers: list[Future[None]] = []
        free = min(self._threads - self._admitted - self._helping, len(work) - 1)
        try:
            with suppress(RuntimeError):  # the engine closes: this thread does it all
                for _ in range(free):
                    helpers.append(self._pool.submit(copy_context().run, assist))
                    self._lend(1)
                    helpers[-1].add_done_callback(lambda _: self._lend(-1))
            take()
        finally:
            begun = [helper for helper in helpers if not helper.cancel()]
            wait(begun)
        for helper in begun:
            helper.result()
        return [results[number] for number in range(len(work))]

    def close(self) -> None:
        """Wait for what is running, drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _lend(self, change: int) -> None:
        with self._lock:
            self._helping += change

    def _done(
        self, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]", done: "Future[T]"
    ) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._settle, answer, done)

    def _settle(self, answer: "asyncio.Future[T]", done: "Future[T]") -> None:
        self._admit(-1)
        if answer.done():
            return
        if done.cancelled():
            answer.cancel()
        elif error := done.exception():
            answer.set_exception(error)
        else:
            answer.set_result(done.result())

    def _admit(self, change: int) -> None:
        self._admitted += change
        self._on_change(change, max(0, self._admitted - self._at_once))


class _Watch:
    """Cancels an answer whose client is gone."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Future[object] | None = None

    def begin(
        self, gone: Callable[[], Awaitable[object]], answer: "asyncio.Future[T]", seconds: float
    ) -> None:
        """Watch after so many seconds: to begin costs something, and most answers come before."""
        self._timer = answer.get_loop().call_later(seconds, self._watch, gone, answer)

    @property
    def saw(self) -> bool:
        """Whether the client went."""
        return self._task is not None and self._task.done()

    def end(self) -> None:
        """Watch no longer."""
        if self._timer:
            self._timer.cancel()
        if self._task:
            self._task.cancel()

    def _watch(self, gone: Callable[[], Awaitable[object]], answer: "asyncio.Future[T]") -> None:
        self._task = asyncio.ensure_future(gone())
        self._task.add_done_callback(lambda _: answer.cancel())


class Slots:
    """At most so many ``async with`` blocks at once; the next is refused, not delayed."""

    def __init__(self, slots: int, on_change: Callable[[int], None]) -> None:
        """Start with ``slots`` free ones; ``on_change`` is told of each taken (1) or freed (-1)."""
        self._free = slots
        self._on_change = on_change

    async def __aenter__(self) -> None:
        """Take a slot; raises OverloadedError where none is free."""
        if not self._free:
            raise OverloadedError("Too many uploads at once: send the request again later.")
        self._free -= 1
        self._on_change(1)

    async def __aexit__(self, *error: object) -> None:
        """Free the slot."""
        self._free += 1
        self._on_change(-1)


def _milliseconds_since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)
