"""Training starts where an artifact left off: its base answers as the trained one did."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from emotion.records import PRECISIONS, Precision

pytestmark = pytest.mark.training

TOLERANCE: dict[Precision, float] = {"float32": 1e-4, "float16": 0.02, "int8": 0.1}


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected")
@pytest.mark.parametrize(
    ("model", "precisions"), [("mobilenet", PRECISIONS), ("resnet50", ["float32"])]
)
def test_an_artifacts_base_answers_as_before(
    tmp_path: Path, model: str, precisions: Sequence[Precision]
) -> None:
    import keras

    from training.network import build_classifier, is_folded
    from training.quantize import convert

    keras.utils.set_random_seed(1)
    random = np.random.default_rng(0)
    trained = build_classifier(model, 32, "random", 0)
    for layer in trained.get_layer("base").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = random.uniform(0.8, 1.2, (4, len(layer.get_weights()[0])))
            layer.set_weights([gamma, beta - 1, mean - 1, variance])
    pixels = random.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    normalised = trained.get_layer("normalise")(pixels)
    expected = trained.get_layer("base")(normalised).numpy()
    assert expected.std() > 0
    for precision in precisions:
        artifact = tmp_path / f"{precision}.tflite"
        artifact.write_bytes(convert(trained, precision, pixels))
        assert is_folded(str(artifact))
        started = build_classifier(model, 32, str(artifact), 0).get_layer("base")
        error = np.abs(started(normalised).numpy() - expected).max() / np.abs(expected).max()
        assert error < TOLERANCE[precision]


def test_another_backbones_artifact_is_refused(small_store: Path) -> None:
    from training.network import WeightsError, build_classifier

    artifact = next((small_store / "mobilenet").glob("int8-*.tflite"))
    with pytest.raises(WeightsError, match="does not hold weights for vgg16"):
        build_classifier("vgg16", 96, str(artifact), 0)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    from training.network import WeightsError, build_classifier

    (tmp_path / "no.tflite").write_bytes(b"no artifact")
    with pytest.raises(WeightsError, match="does not hold weights for vgg16"):
        build_classifier("vgg16", 96, str(tmp_path / "no.tflite"), 0)
