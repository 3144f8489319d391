"""One contract for every shipped artifact."""

import numpy as np
import pytest

from emotion.classifier import CHECKOUT_STORE
from emotion.interpreter import Interpreter
from emotion.labels import EMOTIONS
from emotion.preprocess import PIPELINE
from emotion.records import PRECISIONS, ArtifactRecord
from emotion.store import ModelStore
from training.predictions import read_predictions
from training.workspace import REPORTS

STORE = ModelStore(CHECKOUT_STORE)
RECORDS = [pytest.param(r, id=f"{r.model}-{r.precision}") for r in STORE.records]
MODELS = sorted({r.model for r in STORE.records})


def test_mobilenet_is_shipped_in_every_precision() -> None:
    shipped = {(r.model, r.precision) for r in STORE.records}
    assert {("mobilenet", precision) for precision in PRECISIONS} <= shipped


@pytest.mark.parametrize("record", RECORDS)
def test_pixels_in_probabilities_out(record: ArtifactRecord) -> None:
    interpreter = Interpreter(STORE.read(record))
    size = record.input_size
    assert interpreter.input.shape == (1, size, size, 3)
    assert interpreter.input.dtype == "uint8"
    if record.precision == "int8":  # pixels 0..255 enter as they are
        assert (interpreter.input.scale, interpreter.input.zero_point) == (1, 0)
    assert interpreter.output.shape == (1, len(EMOTIONS))
    assert interpreter.output.dtype == "float32"
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    answers = interpreter.run(pixels)
    assert answers.shape == (3, len(EMOTIONS))
    assert np.allclose(answers.sum(axis=1), 1, atol=0.02)
    assert np.array_equal(interpreter.run(pixels), answers)


@pytest.mark.parametrize("record", RECORDS)
def test_record_describes_the_file(record: ArtifactRecord) -> None:
    assert len(STORE.read(record)) == record.bytes
    assert record.pipeline_fingerprint == PIPELINE.fingerprint
    assert record.metrics.accuracy_low <= record.metrics.accuracy <= record.metrics.accuracy_high
    assert set(record.metrics.recall) == set(EMOTIONS)
    assert record.latency.p50_ms <= record.latency.p95_ms <= record.latency.p99_ms
    assert f"`{record.version}`" in STORE.card(record.model)


@pytest.mark.parametrize("record", RECORDS)
def test_figures_follow_from_the_raw_answers(record: ArtifactRecord) -> None:
    answers = read_predictions(CHECKOUT_STORE / REPORTS / f"{record.model}_predictions.csv")
    mine = [row for row in answers if row.precision == record.precision]
    right = sum(row.predicted == row.label for row in mine)
    assert len(mine) == record.metrics.images
    assert right / len(mine) == pytest.approx(record.metrics.accuracy)


COMPLETE = [m for m in MODELS if sum(r.model == m for r in STORE.records) == len(PRECISIONS)]


@pytest.mark.parametrize("model", COMPLETE)
def test_sizes_halve_at_each_step(model: str) -> None:
    sizes = {p: STORE.record(model, p).bytes for p in PRECISIONS}
    assert sizes["float16"] <= 0.51 * sizes["float32"]
    assert sizes["int8"] <= 0.28 * sizes["float32"]
