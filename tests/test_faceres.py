"""A network is read and unfolded, and answers as it did before it was folded."""

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.training

MEAN = np.array([103.939, 116.779, 123.68])


def write_folded(base: object, graph: Path, stored: str) -> None:
    """Write a MobileNet as HSE-FaceRes is published: folded, and for pixels less their mean."""
    import keras

    arrays: dict[str, np.ndarray] = {"some/axis": np.array(1)}
    norms = {x.name: x for x in base.layers if isinstance(x, keras.layers.BatchNormalization)}
    for layer in base.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            continue
        name, (kernel,), norm = layer.name, layer.get_weights(), norms[f"{layer.name}_bn"]
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        shift = beta - mean * scale
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            arrays[f"{name}/depthwise_kernel"] = kernel
            arrays[f"{norm.name}/batchnorm_1/mul"] = scale
        else:
            kernel = kernel * scale
            if name == "conv1":
                kernel = kernel / 127.5
                shift = shift - (kernel * (127.5 - MEAN)[:, np.newaxis]).sum(axis=(0, 1, 2))
            arrays[f"{name}/convolution/merged_input"] = kernel
        arrays[f"{norm.name}/batchnorm_1/sub"] = shift
    weights, content = [], b""
    for name, array in arrays.items():
        kind = "int32" if array.dtype.kind == "i" else stored
        weight: dict[str, object] = {"name": name, "shape": array.shape, "dtype": kind}
        if kind == "float16":
            weight |= {"dtype": "float32", "quantization": {"dtype": kind}}
        weights.append(weight)
        content += array.astype(kind).tobytes()
    half = len(content) // 2
    (graph.parent / "a.bin").write_bytes(content[:half])
    (graph.parent / "b.bin").write_bytes(content[half:])
    manifest = [{"paths": ["a.bin", "b.bin"], "weights": weights}]
    graph.write_text(json.dumps({"weightsManifest": manifest}))


@pytest.mark.parametrize(("stored", "tolerance"), [("float32", 1e-4), ("float16", 0.02)])
def test_the_function_survives_folding(tmp_path: Path, stored: str, tolerance: float) -> None:
    import keras

    from training.faceres import assign
    from training.folded import unfold

    def mobilenet() -> keras.Model:
        return keras.applications.MobileNet(
            include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
        )

    random = np.random.default_rng(0)
    original, read = mobilenet(), mobilenet()
    for layer in original.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.get_weights()[0].shape
            gamma, beta, mean, variance = random.uniform(0.5, 1.5, (4, *size))
            layer.set_weights([gamma, beta - 1, mean - 1, variance])
    graph = tmp_path / "graph.json"
    write_folded(original, graph, stored)
    assign(read, graph)
    pixels = random.uniform(-1, 1, (20, 32, 32, 3)).astype(np.float32)
    expected = original(pixels).numpy()
    assert expected.std() > 0.01
    close = {"rtol": tolerance, "atol": tolerance * np.abs(expected).max()}
    np.testing.assert_allclose(read(pixels).numpy(), expected, **close)
    assert np.abs(read(pixels, training=True).numpy() - expected).max() > 0.1  # for want of unfold
    assign(read, graph)
    unfold(read, pixels, batch_size=8)
    np.testing.assert_allclose(read(pixels).numpy(), expected, **close)
    np.testing.assert_allclose(read(pixels, training=True).numpy(), expected, **close)
