"""A backbone of the registry to a classifier: normalisation, base, dropout, a new last layer."""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion.errors import EmotionError
from emotion.labels import EMOTIONS
from training import faceres, resnet, shipped, tfjs
from training.backbones import BACKBONES
from training.recipe import Recipe

LOGITS = "logits"
_KERNEL, _BIAS, _CLASSES = f"{LOGITS}/kernel", f"{LOGITS}/bias", "classes"


class WeightsError(EmotionError):
    """Initial weights cannot be found, or do not fit the backbone."""


def build_classifier(
    name: str, input_size: int, init: str, dropout: float, classes: Sequence[str] = EMOTIONS
) -> keras.Model:
    """Build uint8-ranged pixels [n, size, size, 3] -> probabilities [n, classes].

    Args:
        name: one of BACKBONES.
        input_size: side of the input in pixels.
        init: ``imagenet`` (Keras downloads the weights), ``random``, or the path of weights:
            Keras's ``.weights.h5`` or ``.h5`` of the base, an ``.npz`` keyed by variable path
            (``save_classifier``'s have the last layer too: what it knows of the same classes is
            taken over), a ``.tflite`` of the model store (see training/shipped.py), or the
            ``.json`` of a model for TensorFlow.js (HSE-FaceRes for MobileNet, see
            training/faceres.py; or ImageNet's ResNet50, see training/resnet.py).
        dropout: rate before the last layer.
        classes: what the last layer tells apart.

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
    pixels = keras.Input((input_size, input_size, 3), name="pixels")
    # The ends are float32 whatever Keras's global policy makes of the base: bfloat16 has 8 bits.
    full: dict[str, Any] = {"dtype": "float32"}
    normalised = keras.layers.Rescaling(backbone.scale, backbone.offset, name="normalise", **full)(
        pixels
    )
    features = keras.layers.Dropout(dropout, name="dropout", **full)(base(normalised))
    logits = keras.layers.Dense(len(classes), name=LOGITS, **full)(features)
    probabilities = keras.layers.Softmax(name="probabilities", **full)(logits)
    model = keras.Model(pixels, probabilities, name=name)
    _initialise(model, name, init, classes)
    return model


def save_classifier(model: keras.Model, classes: Sequence[str], path: Path) -> None:
    """Write a classifier's weights for ``init``: its base's, its last layer's and its classes."""
    kernel, bias = model.get_layer(LOGITS).get_weights()
    base = {weight.path: weight.numpy() for weight in model.get_layer("base").weights}
    with path.open("wb") as file:
        np.savez(file, **base, **{_KERNEL: kernel, _BIAS: bias, _CLASSES: np.array(classes)})


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


def recorded(recipe: Recipe) -> Recipe:
    """Return the recipe as logs keep it: its initial weights by content, not by local path."""
    return recipe.model_copy(update={"init": init_source(recipe.init)})


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


def _initialise(model: keras.Model, name: str, init: str, classes: Sequence[str]) -> None:
    base = model.get_layer("base")
    if init == "random":
        return
    if init == "imagenet":
        shape = base.input_shape[1:]
        try:
            source = BACKBONES[name].build(
                include_top=False, weights="imagenet", input_shape=shape, pooling="avg"
            )
        except Exception as error:  # Keras raises this very class where there is no network
            raise WeightsError(
                f"No ImageNet weights for {name} to start from: {error}. Give --init a file."
            ) from error
        base.set_weights(source.get_weights())
        return
    path = _file(init)
    with _reading(path, name):
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file) as arrays:
                _assign(base, arrays)
                if _CLASSES in arrays:
                    _assign_known(model.get_layer(LOGITS), classes, arrays)
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
    except (ValueError, LookupError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} does not hold weights for {name}: {error}") from error


def _assign(base: keras.Model, arrays: Any) -> None:
    for variable in base.weights:
        variable.assign(arrays[variable.path].astype("float32"))


def _assign_known(logits: Any, classes: Sequence[str], arrays: Any) -> None:
    """Give the last layer what it already knows of ``classes``; the others stay random."""
    kernel, bias = logits.get_weights()
    known = arrays[_CLASSES].tolist()
    known_kernel, known_bias = arrays[_KERNEL], arrays[_BIAS]
    for index, label in enumerate(classes):
        if label in known:
            kernel[:, index] = known_kernel[:, known.index(label)]
            bias[index] = known_bias[known.index(label)]
    logits.set_weights([kernel, bias])
