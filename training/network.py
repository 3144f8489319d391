"""A backbone of the registry to a classifier: normalisation, base, dropout, a new last layer."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion.errors import EmotionError
from emotion.labels import EMOTIONS
from training import faceres, resnet, shipped, tfjs
from training.backbones import BACKBONES

LOGITS = "logits"


class WeightsError(EmotionError):
    """Initial weights cannot be found, or do not fit the backbone."""


def build_classifier(
    name: str, input_size: int, init: str, dropout: float, classes: int = len(EMOTIONS)
) -> keras.Model:
    """Build uint8-ranged pixels [n, size, size, 3] -> probabilities [n, classes].

    Args:
        name: one of BACKBONES.
        input_size: side of the input in pixels.
        init: ``imagenet`` (Keras downloads the weights), ``random``, or the path of weights:
            Keras's ``.weights.h5`` or ``.h5`` of the base, an ``.npz`` keyed by variable path,
            a ``.tflite`` of the model store (see training/shipped.py), or the ``.json`` of a
            model for TensorFlow.js (HSE-FaceRes for MobileNet, see training/faceres.py; or
            ImageNet's ResNet50, see training/resnet.py).
        dropout: rate before the last layer.
        classes: how many classes the last layer tells apart.

    Raises:
        WeightsError: the weights are missing or have another shape.
    """
    backbone = BACKBONES[name]
    base = backbone.build(
        include_top=False,
        weights=None,
        input_shape=(input_size, input_size, 3),
        pooling="avg",
        name="base",
    )
    _initialise(base, name, init)
    pixels = keras.Input((input_size, input_size, 3), name="pixels")
    # The ends are float32 whatever Keras's global policy makes of the base: bfloat16 has 8 bits.
    full: dict[str, Any] = {"dtype": "float32"}
    normalised = keras.layers.Rescaling(backbone.scale, backbone.offset, name="normalise", **full)(
        pixels
    )
    features = keras.layers.Dropout(dropout, name="dropout", **full)(base(normalised))
    logits = keras.layers.Dense(classes, name=LOGITS, **full)(features)
    probabilities = keras.layers.Softmax(name="probabilities", **full)(logits)
    return keras.Model(pixels, probabilities, name=name)


def init_source(init: str) -> str:
    """Name initial weights so that others can tell whether theirs are the same: no local path.

    Raises WeightsError where there is no such file.
    """
    if init in ("imagenet", "random"):
        return init
    path = _file(init)
    digest = hashlib.sha256()
    with _reading(path, "a backbone"):
        for file in tfjs.files(path) if tfjs.is_tfjs(path) else [path]:
            digest.update(file.read_bytes())
    return f"{path.name} (sha256 {digest.hexdigest()[:12]})"


def is_folded(init: str) -> bool:
    """Whether initial weights come with their batch normalisations folded."""
    if tfjs.is_tfjs(init):
        return not tfjs.has_layers(_file(init))
    return shipped.is_artifact(init)


def _file(init: str) -> Path:
    path = Path(init)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist: give --init imagenet, random or a file.")
    return path


def _initialise(base: keras.Model, name: str, init: str) -> None:
    if init == "random":
        return
    if init == "imagenet":
        shape = base.input_shape[1:]
        try:
            source = BACKBONES[name].build(
                include_top=False, weights="imagenet", input_shape=shape, pooling="avg"
            )
        except ValueError as error:
            raise WeightsError(f"{name} has no ImageNet weights to start from: {error}") from error
        base.set_weights(source.get_weights())
        return
    path = _file(init)
    with _reading(path, name):
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file) as arrays:
                _assign(base, arrays)
        elif tfjs.is_tfjs(path):
            (resnet if tfjs.has_layers(path) else faceres).assign(base, path)
        elif shipped.is_artifact(path):
            shipped.assign(base, path)
        else:
            base.load_weights(path)


@contextmanager
def _reading(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} does not hold weights for {name}: {error}") from error


def _assign(base: keras.Model, arrays: Any) -> None:
    for variable in base.weights:
        variable.assign(arrays[variable.path].astype("float32"))
