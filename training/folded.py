"""Batch normalisations that were folded into their convolutions, and how to train them again."""

from typing import Any

import keras
import numpy as np

from emotion.arrays import Floats


def fill_folded(norm: Any, scale: Floats, shift: Floats) -> None:
    """Let a batch normalisation compute scale * input + shift; its statistics say nothing yet."""
    variance_of_one = np.full_like(shift, 1 - norm.epsilon)
    norm.set_weights([scale, shift, np.zeros_like(shift), variance_of_one])


def unfold(base: keras.Model, pixels: Any, batch_size: int = 64) -> None:
    """Give each batch normalisation its input's mean and variance, and undo what that changes.

    The network computes what it did before; but now training, which normalises by each batch's
    own statistics, computes nearly the same.

    Args:
        base: a convolutional base with unit statistics.
        pixels: its input, float32 [n, size, size, 3], normalised.
        batch_size: how many to run at once.
    """
    layers = [x for x in base.layers if isinstance(x, keras.layers.BatchNormalization)]
    if not layers:
        return
    inputs = keras.Model(base.input, [layer.input for layer in layers])
    sums = [np.zeros((2, layer.input.shape[-1])) for layer in layers]
    counts = np.zeros(len(layers))
    for start in range(0, len(pixels), batch_size):
        for index, output in enumerate(inputs(pixels[start : start + batch_size], training=False)):
            values = np.asarray(output, np.float64).reshape(-1, output.shape[-1])
            sums[index] += values.sum(axis=0), (values**2).sum(axis=0)
            counts[index] += len(values)
    for layer, total, count in zip(layers, sums, counts, strict=True):
        scale, shift, _, _ = layer.get_weights()
        mean, square = total / count
        variance = square - mean**2
        deviation = np.sqrt(variance + layer.epsilon)
        layer.set_weights([scale * deviation, shift + scale * mean, mean, variance])
