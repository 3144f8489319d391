"""The res10 single-shot detector in Keras: Caffe's layers, batch norms folded, channels last.

A ResNet-10 whose blocks end in an addition that the next block normalises: each such batch
norm is folded into both summands. Six feature maps carry the heads; each of their cells has
4 or 6 anchors, and each anchor a face score and four deltas. Where Caffe's padding of a
strided convolution is not TensorFlow's ``same``, the padding is a layer of its own.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from emotion.arrays import Floats
from emotion.assets import DetectorFiles
from emotion.faces import INPUT_SIZE, MEAN_BGR
from training.detector.caffe import Affine, CaffeWeights, Convolution
from training.detector.heads import ANCHORS, VALUES, HeadRange
from training.detector.layers import (
    L2Normalise,
    SpaceToDepth,
    add_relu,
    conv,
    framed,
    per_channel,
)

HEAD = "head"  # begins the names of layers that int8 may leave in float


def build_detector(
    files: DetectorFiles, ranges: Mapping[str, HeadRange] | None = None
) -> keras.Model:
    """Build pixels [1, 300, 300, 3], BGR, 0..255 -> float32 [1, 8892, 5].

    Each row is an anchor, in the order of ``emotion.anchors``: the logit of the face's score,
    then the deltas of its centre and size that ``emotion.anchors.decode`` takes.

    Args:
        files: the Caffe network.
        ranges: of each head's channels, for int8: the head's convolution then answers 0..6 (a
            ReLU6) and what follows brings that back, so that every channel has steps of its own
            and none is spent on values that no face has; and the first convolution works on
            blocks of pixels. None leaves both as they are.
    """
    weights = CaffeWeights(files)
    pixels = keras.Input(batch_shape=(1, INPUT_SIZE, INPUT_SIZE, 3), name="pixels")
    rows = []
    maps = _feature_maps(weights, pixels, blocks=ranges is not None)
    for name, x in zip(ANCHORS, maps, strict=True):
        head = _head_weights(weights, name)
        prefix = f"{HEAD}_{name}"
        if ranges is None:
            x = conv(x, head, prefix)
        else:
            unit, back = ranges[name].to_six(), ranges[name].from_six()
            x = keras.layers.ReLU(6, name=f"{prefix}_six")(conv(x, head.then(unit), prefix))
            x = per_channel(x, back, f"{prefix}_restore")
        rows.append(keras.layers.Reshape((-1, VALUES), name=f"{prefix}_rows")(x))
    answer = keras.layers.Concatenate(1, name=f"{HEAD}_rows")(rows)
    return keras.Model(pixels, answer, name="res10_ssd")


def _feature_maps(weights: CaffeWeights, pixels: Any, *, blocks: bool) -> list[Any]:
    """Return the maps of ANCHORS: 38x38x128, 19x19x256, 10x10x256, then three of 5x5x128."""
    # Mean and batch norm of the pixels go into the first convolution, which therefore is padded
    # with the colour that they map to zero, and int8 sees the pixels as they are.
    data = weights.affine("data_bn", "data_scale")
    colour = np.array(MEAN_BGR, np.float32) - data.offset / data.scale
    first = weights.convolution("conv1").after(Affine(data.scale, -colour * data.scale))
    first = first.then(weights.affine("conv1_bn", "conv1_scale"))
    if blocks:  # 3 channels of int8 leave a CPU's registers nearly empty: 12 take half the time
        x = SpaceToDepth(name="blocks")(framed(pixels, colour, after=3))
        x = conv(x, first.on_blocks(), "conv1", padding="valid", relu=True)
    else:
        x = framed(pixels, colour, after=2)
        x = conv(x, first, "conv1", strides=2, padding="valid", relu=True)
    x = keras.layers.MaxPooling2D(3, 2, "same", name="conv1_pool")(x)

    join = weights.affine("layer_128_1_bn1", "layer_128_1_scale1")
    y = weights.convolution("layer_64_1_conv1")
    y = conv(x, y.then(weights.affine("layer_64_1_bn2", "layer_64_1_scale2")), "64_1", relu=True)
    y = conv(y, weights.convolution("layer_64_1_conv2").then(join), "64_2")
    x = add_relu(y, per_channel(x, Affine(join.scale, 0 * join.offset), "64_skip"), "64_sum")

    x = _block(weights, x, "128", weights.affine("layer_256_1_bn1", "layer_256_1_scale1"), 2)
    maps = [L2Normalise(weights.vector("conv4_3_norm"), f"{HEAD}_normalise")(x)]
    x = _block(weights, x, "256", weights.affine("layer_512_1_bn1", "layer_512_1_scale1"), 2)
    x = _block(weights, x, "512", weights.affine("last_bn", "last_scale"), 1, dilation=2)
    maps.append(x)
    for name, strides in (("conv6", 2), ("conv7", 2), ("conv8", 1), ("conv9", 1)):
        x = conv(x, weights.convolution(f"{name}_1"), f"{name}_1", relu=True)
        x = conv(x, weights.convolution(f"{name}_2"), f"{name}_2", strides=strides, relu=True)
        maps.append(x)
    return maps


def _block(
    weights: CaffeWeights, x: Any, name: str, join: Affine, strides: int, dilation: int = 1
) -> Any:
    """Two convolutions beside a projection; ``join`` is the batch norm of their sum."""
    layer = f"layer_{name}_1"
    middle = weights.affine(f"{layer}_bn2", f"{layer}_scale2")
    first = weights.convolution(f"{layer}_conv1").then(middle)
    second = weights.convolution(f"{layer}_conv2").then(join)
    projection = weights.convolution(f"{layer}_conv_expand").then(
        Affine(join.scale, 0 * join.offset)
    )
    y = conv(x, first, f"{name}_1", strides=strides, relu=True)
    y = conv(y, second, f"{name}_2", dilation=dilation)
    return add_relu(y, conv(x, projection, f"{name}_skip", strides=strides), f"{name}_sum")


def _head_weights(weights: CaffeWeights, name: str) -> Convolution:
    """Merge a map's two heads: for each anchor one logit, then four deltas.

    A softmax of two classes is the sigmoid of their difference, so one logit is enough.
    """
    classes, deltas = (weights.convolution(f"{name}_mbox_{part}") for part in ("conf", "loc"))

    def merge(background_face: Floats, deltas: Floats) -> Floats:
        pairs = background_face.reshape(*background_face.shape[:-1], -1, 2)
        fours = deltas.reshape(*deltas.shape[:-1], -1, 4)
        logit = pairs[..., 1:] - pairs[..., :1]
        merged = np.concatenate([logit, fours], axis=-1)
        return merged.reshape(*deltas.shape[:-1], -1)

    return Convolution(merge(classes.kernel, deltas.kernel), merge(classes.bias, deltas.bias))
