"""What the benchmark of micro-batching says of the ways it compares."""

from benchmarks.microbatching import ARTIFACTS, WAYS, measure
from emotion.classifier import CHECKOUT_STORE
from emotion.interpreter import MOST_AT_ONCE
from emotion.store import ModelStore


def test_faces_that_wait_are_gathered() -> None:
    rows = list(measure(ModelStore(CHECKOUT_STORE), seconds=0.3))
    assert {row.artifact for row in rows} == set(ARTIFACTS)
    few, many = sorted({row.clients for row in rows})
    assert len(rows) == 2 * len(ARTIFACTS) * len(WAYS)
    for row in rows:
        assert row.faces_per_second > 0
        assert 0 < row.p50_ms <= row.p99_ms
        if row.most == 1:
            assert row.faces_per_call == 1
        elif row.clients == few:
            assert row.faces_per_call <= few
        elif row.wait_ms:
            assert 1 < row.faces_per_call <= MOST_AT_ONCE
    assert many >= MOST_AT_ONCE
