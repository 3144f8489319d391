"""Layers of the detector, with their weights set."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from emotion.arrays import Floats
from training.detector.caffe import Affine, Convolution

_NORM_EPSILON = 1e-10


def conv(
    x: Any,
    weights: Convolution,
    name: str,
    *,
    strides: int = 1,
    dilation: int = 1,
    padding: str = "same",
    relu: bool = False,
) -> Any:
    """Convolve as Caffe does: a stride of 2 pads before the first pixel, not after the last."""
    side, _, _, filters = weights.kernel.shape
    if side == 3 and strides == 2 and x.shape[1] % 2 == 0:  # here "same" would pad after
        x, padding = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x), "valid"
    layer = keras.layers.Conv2D(
        filters,
        side,
        strides,
        padding,
        dilation_rate=dilation,
        activation="relu" if relu else None,
        name=name,
    )
    y = layer(x)
    layer.set_weights([weights.kernel, weights.bias])
    return y


def framed(pixels: Any, colour: Floats, after: int) -> Any:
    """Pad by 3 pixels before and ``after`` behind, in a colour."""
    for axis in (1, 2):
        edges = []
        for width in (3, after):
            shape = list(pixels.shape)
            shape[axis] = width
            edges.append(keras.ops.convert_to_tensor(np.broadcast_to(colour, shape)))
        pixels = keras.ops.concatenate([edges[0], pixels, edges[1]], axis=axis)
    return pixels


def per_channel(x: Any, affine: Affine, name: str) -> Any:
    """Scale and move each channel, as a convolution.

    In int8 it has a step for each channel; after a head, which stays float, it does not work in
    place, where the converter would note its results as the range of the layer before it.
    """
    layer = keras.layers.DepthwiseConv2D(1, name=name)
    y = layer(x)
    layer.set_weights([affine.scale.reshape(1, 1, -1, 1), affine.offset])
    return y


def add_relu(x: Any, y: Any, name: str) -> Any:
    """Add two branches, then ReLU."""
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=name)([x, y]))


class SpaceToDepth(keras.layers.Layer):  # type: ignore[misc]
    """Makes a block of 2x2 pixels one pixel of four times the channels."""

    def call(self, x: Any) -> Any:
        """[n, height, width, channels] -> [n, height / 2, width / 2, 4 * channels]."""
        return tf.nn.space_to_depth(x, 2)


class L2Normalise(keras.layers.Layer):  # type: ignore[misc]
    """Gives each cell's channels unit length and scales each (Liu et al. 2015, ParseNet)."""

    def __init__(self, scale: Floats, name: str) -> None:
        super().__init__(name=name)
        self._scale = scale

    def call(self, x: Any) -> Any:
        """Normalise [n, height, width, channels]."""
        squares = keras.ops.sum(keras.ops.square(x), axis=-1, keepdims=True)
        return x * (1 / keras.ops.sqrt(squares + _NORM_EPSILON)) * self._scale
