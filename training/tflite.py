"""What every conversion to TFLite has in common."""

from typing import Any, Literal

import numpy as np

from emotion.arrays import Pixels


def convert_float(model: Any, precision: Literal["float32", "float16"]) -> bytes:
    """Convert a Keras model that takes float pixels into one that takes uint8 pixels.

    Args:
        model: float32 [n, height, width, 3] to anything.
        precision: of the stored weights.
    """
    import keras
    import tensorflow as tf

    pixels = keras.Input(batch_shape=model.input_shape, dtype="uint8", name="pixels")
    floats = keras.layers.Lambda(lambda x: keras.ops.cast(x, "float32"), name="to_float")(pixels)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(pixels, model(floats)))
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def int8_converter(model: Any, calibration: Pixels) -> Any:
    """Return a converter that reads its ranges off ``calibration``, uint8 [n, height, width, 3].

    The input's range becomes exactly 0..255, so that its step is 1 and pixels enter as they are:
    two corner pixels of the first picture are enough, and leave the inner ranges alone.
    """
    import tensorflow as tf

    pictures = calibration.copy()
    pictures[0, 0, 0], pictures[0, 0, 1] = 0, 255
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [picture[np.newaxis].astype(np.float32)] for picture in pictures
    )
    return converter
