"""One contract for every shipped artifact."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from emotion.classifier import CHECKOUT_STORE
from emotion.interpreter import MOST_AT_ONCE, Interpreter
from emotion.labels import EMOTIONS
from emotion.mapped import mapped
from emotion.preprocess import PIPELINE
from emotion.records import PRECISIONS, ArtifactRecord
from emotion.registry import Registry
from emotion.store import REPORTS, ModelStore
from training.predictions import read_predictions

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
def test_together_each_image_gets_the_answer_it_gets_alone(record: ArtifactRecord) -> None:
    interpreter = Interpreter(mapped(STORE.read(record)))
    size = record.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (MOST_AT_ONCE + 2, size, size, 3), np.uint8)
    alone = [interpreter.run(image[np.newaxis])[0] for image in pixels]
    assert np.array_equal(interpreter.run(pixels), alone)


def test_a_batch_is_checked_before_every_run() -> None:
    artifact = Registry(STORE).get("mobilenet", "int8")
    pixels = np.zeros((20, 96, 96, 3), np.uint8)
    calls = []
    artifact.run(pixels, lambda: calls.append(1))
    assert len(calls) == 3  # of 8, 8 and 4

    def gone() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        artifact.run(pixels, gone)
    assert len(calls) == 5


def test_a_graph_for_one_image_takes_several_one_by_one() -> None:
    record = STORE.detectors[0]
    interpreter = Interpreter(STORE.read_detector(record))
    pixels = np.random.default_rng(0).integers(0, 256, (3, *record.input.shape[1:]), np.uint8)
    together = interpreter.run(pixels)
    assert np.array_equal(together, [interpreter.run(image[np.newaxis])[0] for image in pixels])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_mapped_artifact_gives_its_pages_back_and_still_answers() -> None:
    record = max(RECORDS, key=lambda r: r.values[0].bytes).values[0]
    content = STORE.read(record)
    before = resident_kilobytes_of_unnamed_files()
    model = mapped(content)
    first = Interpreter(model)
    after = resident_kilobytes_of_unnamed_files()
    assert len(after) > len(before)
    assert sum(after) - sum(before) < record.bytes / 10_000
    pixels = np.zeros((1, *record.input.shape[1:]), np.uint8)
    assert np.array_equal(first.run(pixels), Interpreter(content).run(pixels))
    assert np.array_equal(Interpreter(model).run(pixels), first.run(pixels))


def resident_kilobytes_of_unnamed_files() -> list[int]:
    """Of each that this process maps: LiteRT's are among them."""
    sizes, unnamed = [], False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            unnamed = line.endswith("(deleted)")
        elif unnamed and line.startswith("Rss:"):
            sizes.append(int(line.split()[1]))
    return sizes


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
