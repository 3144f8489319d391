"""Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks)."""

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from training.network import LOGITS


def fold_temperature(
    model: keras.Model, probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> float:
    """Divide the model's logits by the temperature that fits held-out answers best.

    The division goes into the last layer's weights, so it costs nothing at inference and
    changes no ranking.

    Args:
        model: a classifier of ``training.backbones``; changed in place.
        probabilities: [n, classes], its answers on held-out images.
        labels: [n], the truth.

    Returns:
        The temperature, between 1/4 and 4; above 1 the model was overconfident.
    """
    logits = np.log(np.clip(probabilities, 1e-12, 1))

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        log_probabilities = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-log_probabilities[np.arange(len(labels)), labels].mean())

    bounds = (-np.log(4), np.log(4))
    fitted = minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded")
    temperature = float(np.exp(fitted.x))
    layer = model.get_layer(LOGITS)
    layer.set_weights([weights / temperature for weights in layer.get_weights()])
    return temperature
