"""A trained model to three TFLite artifacts.

float32   the graph as trained.
float16   weights stored as float16, computed in float32 where the CPU has no float16.
int8      full integer: int8 weights per channel, int8 activations, uint8 pixels in; ranges
          come from typical training images. Probabilities leave as float32 in steps of 1/256.

All three take the same uint8 pixels [1, size, size, 3].
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from emotion.arrays import Pixels
from emotion.records import PRECISIONS, Precision
from training.apart import apart
from training.files import replace_file
from training.recipe import Recipe
from training.tflite import convert_float, int8_converter

# ResNet50, 279 held-out faces: int8 agreed with float32 on 98.9 % after 200, on 99.3 % after 672.
CALIBRATION_IMAGES = 1000


def quantize(
    recipe: Recipe,
    weights: Path,
    calibration: Pixels,
    folder: Path,
    precisions: Sequence[Precision] = PRECISIONS,
) -> None:
    """Write ``float32.tflite``, ``float16.tflite`` and ``int8.tflite`` into ``folder``.

    Runs in a child process: the converter keeps memory it never gives back (about 20 MB a call
    in TensorFlow 2.20-2.22), and it takes models of Keras's TensorFlow backend alone.

    Args:
        recipe: of the trained model.
        weights: its ``.weights.h5``.
        calibration: uint8 [n, size, size, 3], training images only.
        folder: where the artifacts go.
        precisions: only these.
    """
    work = recipe, weights, calibration, folder, precisions
    apart(_convert_all, *work, KERAS_BACKEND="tensorflow")


def _convert_all(
    recipe: Recipe,
    weights: Path,
    calibration: Pixels,
    folder: Path,
    precisions: Sequence[Precision],
) -> None:
    from training.network import build_classifier

    model = build_classifier(recipe.model, recipe.input_size, "random", recipe.dropout)
    model.load_weights(weights)
    for precision in precisions:
        replace_file(folder / f"{precision}.tflite", convert(model, precision, calibration))


def convert(model: Any, precision: Precision, calibration: Pixels) -> bytes:
    """Convert a classifier to one artifact, in this process; ``quantize`` says more."""
    if precision != "int8":
        return convert_float(model, precision)
    import tensorflow as tf

    converter = int8_converter(model, _typical(model, calibration))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.float32
    return bytes(converter.convert())


def _typical(model: Any, pixels: Pixels) -> Pixels:
    """Leave out the images whose largest feature is far above the others' (Tukey 1977, far out).

    A range is as wide as its widest image: one of 783, which a ResNet50 answered with features
    20 times the usual, left all others a tenth of int8's steps, and one image in five was right.
    """
    features = model.get_layer("base").predict(model.get_layer("normalise")(pixels), verbose=0)
    largest = features.max(axis=1)
    low, high = np.percentile(largest, (25, 75))
    typical: Pixels = pixels[largest <= high + 3 * (high - low)]
    if left_out := len(pixels) - len(typical):
        tqdm.write(f"{left_out} of {len(pixels)} calibration images left out: far out")
    return typical
