"""A MobileNet trained on faces, as a start: Savchenko's HSE-FaceRes, published for TensorFlow.js.

It was trained to recognise the people of VGGFace2, then their age and gender (A. Savchenko,
"Efficient facial representations for age, gender and identity recognition", PeerJ CS 2019). The
published graph has its batch normalisations folded into the convolutions; here they are unfolded
again, for training needs them.
"""

import json
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from training.folded import fill_folded

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
            fill_folded(layer, scale, shift)
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([arrays[f"{name}/depthwise_kernel"]])
        elif isinstance(layer, keras.layers.Conv2D):
            kernel = arrays[f"{name}/convolution/merged_input"]
            layer.set_weights([kernel * _SCALE if name == "conv1" else kernel])
