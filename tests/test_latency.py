"""The store's latencies, measured anew: only they change, and the cards that show them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from emotion.store import ModelStore
from tests.steps import step

pytestmark = pytest.mark.training


def test_every_artifact_is_timed_on_one_machine_and_day(store: Path) -> None:
    before = ModelStore(store).records
    said = step("latency", "--store", str(store))
    after = ModelStore(store).records
    for old, new in zip(before, after, strict=True):
        assert f"{new.name}: {new.latency.p50_ms:.2f} ms" in said
        assert 0 < new.latency.p50_ms <= new.latency.p95_ms <= new.latency.p99_ms
        assert new.latency.date == datetime.now(UTC).date().isoformat()
        assert new == old.model_copy(update={"latency": new.latency})
        assert ModelStore(store).read(new)
    assert len({(r.latency.machine, r.latency.date) for r in after}) == 1
    card = (store / "mobilenet" / "card.md").read_text()  # vgg16's is of three precisions
    assert all(f"| {r.latency.p50_ms:.2f} ms |" in card for r in after if r.model == "mobilenet")
