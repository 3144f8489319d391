import threading

import pytest

from emotion.pool import Budget, Pool


def test_objects_are_made_when_needed_and_lent_to_one_at_a_time() -> None:
    made: list[object] = []
    pool = Pool(lambda: made.append(object()) or made[-1], 2)
    with pool.lend() as first:
        assert made == [first]
        with pool.lend() as second:
            assert second is not first
            waiting = threading.Thread(target=lambda: pool.lend().__enter__())
            waiting.start()
            waiting.join(0.05)
            assert waiting.is_alive()
        waiting.join(1)
        assert not waiting.is_alive()
    assert len(made) == 2


def test_a_failure_to_make_one_does_not_cost_a_place() -> None:
    answers = iter([1, RuntimeError("no memory"), 2])

    def make() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pool = Pool(make, 2)
    with pool.lend() as first:
        assert first == 1
        with pytest.raises(RuntimeError), pool.lend():
            pass
        with pool.lend() as second:
            assert second == 2


def test_what_further_objects_cost_comes_from_a_common_budget() -> None:
    budget = Budget(10)
    first = Pool(object, 3, budget, cost=6)
    second = Pool(object, 2, budget, cost=5)
    with first.lend(), first.lend():
        assert not budget.take(5)
        with second.lend():  # has one in any case
            assert budget.take(4)
            budget.give(4)
    del first  # what it had taken is free again
    with second.lend(), second.lend():
        assert not budget.take(6)
        assert budget.take(5)


def test_a_failure_gives_its_cost_back() -> None:
    answers = iter([1, RuntimeError("no memory")])

    def make() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    budget = Budget(4)
    pool = Pool(make, 2, budget, cost=4)
    with pool.lend(), pytest.raises(RuntimeError), pool.lend():
        pass
    assert budget.take(4)
