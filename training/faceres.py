"""A MobileNet trained on faces, as a start: Savchenko's HSE-FaceRes, published for TensorFlow.js.

It was trained to recognise the people of VGGFace2, then their age and gender (A. Savchenko,
"Efficient facial representations for age, gender and identity recognition", PeerJ CS 2019). The
published graph has its batch normalisations folded into the convolutions; here they are unfolded
again, for training needs them.
"""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

_TYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32}
_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # it takes pixel - mean
_SCALE = np.float32(127.5)  # keras.applications.MobileNet takes pixel / 127.5 - 1


def is_graph(init: str | Path) -> bool:
    """Whether initial weights are given as such a graph."""
    return Path(init).suffix == ".json"


def files(graph: Path) -> list[Path]:
    """Return the files of a TensorFlow.js graph, its JSON first; raises as ``read_arrays`` does."""
    groups = json.loads(graph.read_text())["weightsManifest"]
    return [graph, *(graph.parent / name for group in groups for name in group["paths"])]


def read_arrays(graph: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return a TensorFlow.js graph's arrays by name; ``graph`` is its JSON file.

    Raises:
        OSError: a file is missing.
        ValueError, KeyError: it is not such a graph, or its arrays do not fill its files.
    """
    arrays = {}
    for group in json.loads(graph.read_text())["weightsManifest"]:
        content = b"".join((graph.parent / name).read_bytes() for name in group["paths"])
        start = 0
        for weight in group["weights"]:
            stored = weight.get("quantization", weight)["dtype"]
            if stored not in _TYPES:
                raise ValueError(f"{weight['name']} is {stored}")
            count = int(np.prod(weight["shape"]))
            array = np.frombuffer(content, _TYPES[stored], count, start)
            arrays[weight["name"]] = array.reshape(weight["shape"]).astype(np.float32)
            start += array.nbytes
        if start != len(content):
            raise ValueError(f"its arrays have {start} bytes, its files {len(content)}")
    return arrays


def assign(base: keras.Model, graph: Path) -> None:
    """Give a keras.applications.MobileNet the graph's function; its statistics say nothing yet.

    Raises as ``read_arrays`` does.
    """
    arrays = read_arrays(graph)
    for layer in base.layers:
        name = layer.name
        if isinstance(layer, keras.layers.BatchNormalization):
            shift = arrays[f"{name}/batchnorm_1/sub"]
            scale = arrays.get(f"{name}/batchnorm_1/mul", np.ones_like(shift))
            if name == "conv1_bn":
                moved = arrays["conv1/convolution/merged_input"] * (_SCALE - _MEAN)[:, np.newaxis]
                shift = shift + moved.sum(axis=(0, 1, 2))
            layer.set_weights([scale, shift, np.zeros_like(shift), _variance_of_one(layer, shift)])
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([arrays[f"{name}/depthwise_kernel"]])
        elif isinstance(layer, keras.layers.Conv2D):
            kernel = arrays[f"{name}/convolution/merged_input"]
            layer.set_weights([kernel * _SCALE if name == "conv1" else kernel])


def unfold(base: keras.Model, pixels: Any, batch_size: int = 64) -> None:
    """Give each batch normalisation its input's mean and variance, and undo what that changes.

    The network computes what it did before; but now training, which normalises by each batch's
    own statistics, computes nearly the same.

    Args:
        base: a convolutional base with unit statistics.
        pixels: its input, float32 [n, size, size, 3], normalised.
        batch_size: how many to run at once.
    """
    layers = [x for x in base.layers if isinstance(x, keras.layers.BatchNormalization)]
    inputs = keras.Model(base.input, [layer.input for layer in layers])
    sums = [np.zeros((2, layer.input.shape[-1])) for layer in layers]
    counts = np.zeros(len(layers))
    for start in range(0, len(pixels), batch_size):
        for index, output in enumerate(inputs(pixels[start : start + batch_size], training=False)):
            values = np.asarray(output, np.float64).reshape(-1, output.shape[-1])
            sums[index] += values.sum(axis=0), (values**2).sum(axis=0)
            counts[index] += len(values)
    for layer, total, count in zip(layers, sums, counts, strict=True):
        scale, shift, _, _ = layer.get_weights()
        mean, square = total / count
        variance = square - mean**2
        deviation = np.sqrt(variance + layer.epsilon)
        layer.set_weights([scale * deviation, shift + scale * mean, mean, variance])


def _variance_of_one(layer: Any, like: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the variances with which the layer divides by one."""
    return np.full_like(like, 1 - layer.epsilon)
