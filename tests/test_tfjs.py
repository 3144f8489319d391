"""Networks published for TensorFlow.js are read, and answer as they did before."""

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
    write_model(graph, "graph-model", weights, content)


def write_model(path: Path, kind: str, weights: list[dict[str, object]], content: bytes) -> None:
    half = len(content) // 2
    (path.parent / "a.bin").write_bytes(content[:half])
    (path.parent / "b.bin").write_bytes(content[half:])
    manifest = [{"paths": ["a.bin", "b.bin"], "weights": weights}]
    path.write_text(json.dumps({"format": kind, "weightsManifest": manifest}))


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


def test_resnet_is_read_by_the_names_its_layers_had(tmp_path: Path) -> None:
    from training.network import build_classifier, is_folded

    original = build_classifier("resnet50", 32, "random", 0).get_layer("base")
    branches = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}
    weights: list[dict[str, object]] = []
    content = b""
    for variable in original.weights:
        layer, kind = variable.path.split("/")[-2:]
        if layer.startswith("conv1_"):
            old = {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}[layer]
        else:
            stage, block, branch, what = layer.removeprefix("conv").replace("block", "").split("_")
            start = "res" if what == "conv" else "bn"
            old = f"{start}{stage}{chr(ord('a') + int(block) - 1)}_branch{branches[branch]}"
        array = np.asarray(variable)
        if kind == "moving_variance":
            array = array - np.float32(1e-3 - 1.001e-5)  # their epsilon was larger
        weights.append({"name": f"{old}/{kind}", "shape": array.shape, "dtype": "float32"})
        content += array.tobytes()
    model = tmp_path / "model.json"
    write_model(model, "layers-model", weights, content)

    read = build_classifier("resnet50", 32, str(model), 0).get_layer("base")
    assert not is_folded(str(model))
    for ours, theirs in zip(read.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
