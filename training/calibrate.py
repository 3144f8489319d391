"""Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks)."""

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from training.network import LOGITS

_LIMIT = 10


def fit_temperature(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature that fits a model's answers on held-out images best.

    Args:
        probabilities: [n, classes], the answers.
        labels: [n], the truth.

    Returns:
        What to divide logits by, between 1/10 and 10; above 1 the model was overconfident.
    """
    logits = np.log(np.clip(probabilities, 1e-12, 1))

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        log_probabilities = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-log_probabilities[np.arange(len(labels)), labels].mean())

    bounds = (-np.log(_LIMIT), np.log(_LIMIT))
    fitted = minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded")
    return float(np.exp(fitted.x))


def fold_temperature(model: keras.Model, temperature: float) -> None:
    """Divide a classifier's logits, in place.

    The division goes into the last layer's weights, so it costs nothing at inference and
    changes no ranking.
    """
    layer = model.get_layer(LOGITS)
    layer.set_weights([weights / temperature for weights in layer.get_weights()])
