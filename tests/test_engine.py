"""A request's work on several threads, where several are free."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

import emotion.interpreter
from service.engine import DeadlineError, Engine, OverloadedError, at_once
from service.metrics import Metrics
from service.runtime import Runtime
from service.settings import Settings
from tests.clients import eventually
from tests.command import PHOTO

Work = Sequence[Callable[[], int]]


@pytest.fixture
def engine() -> Iterator[Engine]:
    two = Engine(threads=2, max_waiting=10, deadline_seconds=10)
    yield two
    two.close()


def shared(engine: Engine, work: Work, beside: Callable[[], object] | None = None) -> list[int]:
    """Run work as a request, beside another one."""

    async def both() -> list[int]:
        other = asyncio.create_task(engine.run(lambda _: beside())) if beside else None
        await asyncio.sleep(0)
        results, _ = await engine.run(lambda _: engine.share(work))
        if other:
            await other
        return results

    return asyncio.run(both())


def test_a_result_lives_as_long_as_it_is_used(engine: Engine) -> None:
    """Not until garbage is collected, which comes late: it may hold pictures."""

    class Result:
        pass

    def work(check: object) -> Result:
        time.sleep(0.05)  # or it is done before it is waited for
        return Result()

    async def used() -> weakref.ref[Result]:
        result, _ = await engine.run(work)
        return weakref.ref(result)

    gc.disable()
    try:
        left = asyncio.run(used())
        eventually(lambda: left() is None, seconds=5)
    finally:
        gc.enable()


def test_a_free_thread_helps(engine: Engine) -> None:
    together = threading.Barrier(2, timeout=5)

    def piece(number: int) -> int:
        if number < 2:
            together.wait()
        return number * number

    work = [lambda n=n: piece(n) for n in range(6)]
    assert shared(engine, work) == [0, 1, 4, 9, 16, 25]


def test_where_none_is_free_one_does_it_all(engine: Engine) -> None:
    release, seen = threading.Event(), set[int]()

    def piece() -> int:
        seen.add(threading.get_ident())
        assert engine._pool._work_queue.empty()  # nobody was asked to help
        return 1

    def last() -> int:
        release.set()
        return 2

    work = [*[piece] * 5, last]
    assert shared(engine, work, beside=lambda: release.wait(10)) == [1] * 5 + [2]
    assert len(seen) == 1


@pytest.mark.parametrize("error", [ValueError, IndexError])
def test_an_error_ends_the_rest_and_is_told(engine: Engine, error: type[Exception]) -> None:
    done: list[int] = []

    def fail() -> int:
        raise error("no")

    def piece() -> int:
        time.sleep(0.02)
        done.append(1)
        return 1

    with pytest.raises(error, match="no"):
        shared(engine, [piece, fail, *[piece] * 50])
    after = len(done)
    assert after <= 3
    time.sleep(0.1)
    assert len(done) == after  # nothing goes on behind the answer


def test_a_helper_goes_back_to_whom_comes_meanwhile(engine: Engine) -> None:
    begun = threading.Barrier(2, timeout=5)
    order: list[str] = []

    def first() -> int:
        begun.wait()
        time.sleep(0.05)
        return 1

    def piece() -> int:
        time.sleep(0.02)
        order.append("piece")
        return 1

    async def ask() -> None:
        compared = asyncio.create_task(
            engine.run(lambda _: engine.share([first, first, *[piece] * 40]))
        )
        await asyncio.sleep(0.02)
        assert not engine.has_free_core
        await engine.run(lambda _: order.append("other"))
        await compared
        assert engine.has_free_core

    asyncio.run(ask())
    assert order.index("other") < 5
    assert order.count("piece") == 40


def test_what_helpers_spend_counts_for_what_one_is_expected_to_take() -> None:
    """Else more would be let in than can be answered in time, once no thread is free to help."""
    engine = Engine(threads=2, max_waiting=500, deadline_seconds=3)
    work = [lambda: time.sleep(0.06)] * 4

    async def ask() -> list[object]:
        for _ in range(30):  # alone, so with help: 0.12 seconds each
            await engine.run(lambda _: engine.share(work))
        burst = [engine.run(lambda _: engine.share(work)) for _ in range(100)]
        return await asyncio.gather(*burst, return_exceptions=True)

    answers = asyncio.run(ask())
    engine.close()
    late = [answer for answer in answers if isinstance(answer, DeadlineError)]
    assert len(late) <= 3
    # 2.4 seconds of three threads are 30 times 0.24
    assert sum(isinstance(answer, OverloadedError) for answer in answers) >= 60


@pytest.mark.parametrize(("cores", "together"), [(1, 1), (2, 3), (4, 5)])
def test_one_more_than_cores_are_computed_at_once(cores: int, together: int) -> None:
    assert at_once(cores) == together
    waiting: list[int] = []
    engine = Engine(cores, 2, 10, on_change=lambda _, waits: waiting.append(waits))
    met, over = threading.Semaphore(0), threading.Event()

    def work(_: object) -> None:
        met.release()
        over.wait(5)

    async def ask() -> list[object]:
        asked = [asyncio.ensure_future(engine.run(work)) for _ in range(together + 3)]
        await asyncio.sleep(0.3)
        assert [met.acquire(blocking=False) for _ in range(together + 1)] == (
            [True] * together + [False]
        )
        over.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(ask())
    engine.close()
    assert max(waiting) == 2
    assert sum(isinstance(answer, OverloadedError) for answer in answers) == 1


def test_an_engine_that_closes_still_finishes() -> None:
    engine = Engine(threads=2, max_waiting=1, deadline_seconds=10)

    def close_then_share() -> list[int]:
        closer = threading.Thread(target=engine.close)
        closer.start()
        while not engine._pool._shutdown:
            time.sleep(0.01)
        return engine.share([lambda: 1, lambda: 2])

    async def ask() -> list[int]:
        return (await engine.run(lambda _: close_then_share()))[0]

    assert asyncio.run(ask()) == [1, 2]


def test_a_lone_request_searches_with_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[int] = []
    used: list[int] = []

    class Watched(emotion.interpreter.Interpreter):
        def __init__(self, model: bytes, threads: int = 1) -> None:
            super().__init__(model, threads)
            self._threads = threads
            loaded.append(threads)

        def run(self, tensors: np.ndarray, check: Callable[[], object] | None = None) -> np.ndarray:
            used.append(self._threads)
            return super().run(tensors, check)

    monkeypatch.setattr(emotion.interpreter, "Interpreter", Watched)
    image = PHOTO.read_bytes()

    async def searched(runtime: Runtime, beside: bool) -> list[int]:
        used.clear()
        over = threading.Event()
        other = asyncio.create_task(runtime.compute(lambda _, check: over.wait(5 * beside)))
        await asyncio.sleep(0.05)
        await runtime.compute(lambda classifier, check: classifier.look(image))
        over.set()
        await other
        return list(used)

    two = Runtime(Settings(threads=2, preload=("none",)), Metrics())
    assert asyncio.run(searched(two, beside=False)) == [2]
    assert asyncio.run(searched(two, beside=True)) == [1]
    two.close()
    loaded.clear()
    Runtime(Settings(threads=1, preload=("none",)), Metrics()).close()
    assert loaded == [1]  # none is ever free beside the one that asks
