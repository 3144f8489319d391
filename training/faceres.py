"""A MobileNet trained on faces, as a start: Savchenko's HSE-FaceRes, published for TensorFlow.js.

It was trained to recognise the people of VGGFace2, then their age and gender (A. Savchenko,
"Efficient facial representations for age, gender and identity recognition", PeerJ CS 2019). The
published graph has its batch normalisations folded into the convolutions; here they are unfolded
again, for training needs them.
"""

from pathlib import Path

import keras
import numpy as np

from training.folded import fill_folded
from training.tfjs import read_arrays

_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # it takes pixel - mean
_SCALE = np.float32(127.5)  # keras.applications.MobileNet takes pixel / 127.5 - 1


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
