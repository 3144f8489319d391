"""An artifact of the model store as a start: what it learnt, without the data it learnt from.

An artifact has its batch normalisations folded into the convolutions and, in int8, its weights
rounded; its last layer is left out.
"""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion.arrays import Floats
from training.folded import fill_folded
from training.operators import operators_of, plain

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def is_artifact(init: str | Path) -> bool:
    """Whether initial weights are given as an artifact."""
    return Path(init).suffix == ".tflite"


def assign(base: keras.Model, artifact: Path) -> None:
    """Give a convolutional base an artifact's weights, by its layers' names.

    Raises:
        OSError: it cannot be read.
        ValueError, KeyError: it is no artifact, or one of another backbone.
    """
    kinds = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
    layers = {layer.name: layer for layer in base.layers}
    convolutions = {name for name, layer in layers.items() if isinstance(layer, kinds)}
    norms = {n for n, x in layers.items() if isinstance(x, keras.layers.BatchNormalization)}
    stored = _convolutions(artifact.read_bytes(), convolutions)
    for name in convolutions:
        kernel, bias = stored[name]
        layer, norm = layers[name], f"{name.removesuffix('_conv')}_bn"
        kernel = kernel.reshape(layer.kernel.shape)
        if norm in norms:
            norms.remove(norm)
            fill_folded(layers[norm], np.ones_like(bias), bias)
            bias = np.zeros_like(bias)
        layer.set_weights([kernel, bias] if layer.use_bias else [kernel])
    if norms:
        raise ValueError(f"no convolution is known to lead to {', '.join(sorted(norms))}")


def _convolutions(content: bytes, names: set[str]) -> dict[str, tuple[Floats, Floats]]:
    """Read the kernel [height, width, in, out] and the bias [out] of each of these layers."""
    interpreter = plain(content)
    interpreter.allocate_tensors()
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    operators = operators_of(interpreter)
    halves = {o["outputs"][0]: o["inputs"][0] for o in operators if o["op_name"] == "DEQUANTIZE"}
    found = {}
    for operator in operators:
        if operator["op_name"] in _CONVOLUTIONS:
            _, *parameters = operator["inputs"]
            kernel, bias = (_real(interpreter, tensors[halves.get(i, i)]) for i in parameters)
            found[_layer(tensors[parameters[0]]["name"], names)] = (
                np.moveaxis(kernel, 0, -1) if operator["op_name"] == "CONV_2D" else kernel,
                bias,
            )
    return found


def _real(interpreter: Any, tensor: dict[str, Any]) -> Floats:
    """Return a tensor as the numbers it stands for; weights and biases have the zero point 0."""
    values: Floats = interpreter.get_tensor(tensor["index"]).astype(np.float32)
    scales = tensor["quantization_parameters"]["scales"]
    if len(scales):
        shape = np.ones(values.ndim, int)
        shape[tensor["quantization_parameters"]["quantized_dimension"]] = -1
        values = values * scales.reshape(shape)
    return values


def _layer(tensor: str, names: set[str]) -> str:
    """Find a layer's name in a tensor's, where Keras may have numbered it."""
    for part in re.split("[/;]", tensor):
        for name in (part, part.rpartition("_")[0]):
            if name in names:
                return name
    raise KeyError(tensor)
