"""A trained model to three TFLite artifacts.

float32   the graph as trained.
float16   weights stored as float16, computed in float32 where the CPU has no float16.
int8      full integer: int8 weights per channel, int8 activations, uint8 pixels in; ranges
          come from training images. Probabilities leave as float32 in steps of 1/256.

All three take the same uint8 pixels [1, size, size, 3].
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from emotion.arrays import Pixels
from emotion.labels import EMOTIONS
from emotion.records import PRECISIONS, Precision
from training.recipe import Recipe

CALIBRATION_IMAGES = 200


def quantize(recipe: Recipe, weights: Path, calibration: Pixels, folder: Path) -> None:
    """Write ``float32.tflite``, ``float16.tflite`` and ``int8.tflite`` into ``folder``.

    Runs in a child process: the converter keeps memory it never gives back (about 20 MB a call
    in TensorFlow 2.20-2.22).

    Args:
        recipe: of the trained model.
        weights: its ``.weights.h5``.
        calibration: uint8 [n, size, size, 3], training images only.
        folder: where the artifacts go.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        pool.submit(_convert_all, recipe, weights, calibration, folder).result()


def _convert_all(recipe: Recipe, weights: Path, calibration: Pixels, folder: Path) -> None:
    from training.backbones import build_classifier

    model = build_classifier(
        recipe.model, recipe.input_size, "random", recipe.dropout, len(EMOTIONS)
    )
    model.load_weights(weights)
    for precision in PRECISIONS:
        content = _convert(model, precision, calibration)
        new = folder / f"{precision}.tflite.new"
        new.write_bytes(content)
        new.replace(folder / f"{precision}.tflite")


def _convert(model: Any, precision: Precision, calibration: Pixels) -> bytes:
    import keras
    import tensorflow as tf

    if precision == "int8":
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[np.newaxis].astype(np.float32)] for image in _full_range(calibration)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
        return bytes(converter.convert())
    pixels = keras.Input(calibration.shape[1:], dtype="uint8", name="pixels")
    floats = keras.layers.Lambda(lambda x: keras.ops.cast(x, "float32"), name="to_float")(pixels)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(pixels, model(floats)))
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _full_range(calibration: Pixels) -> Pixels:
    """Make the input's range exactly 0..255, so that its scale is 1 and pixels enter as they are.

    Two corner pixels of the first image are enough, and leave the inner ranges alone.
    """
    images = calibration.copy()
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    return images
