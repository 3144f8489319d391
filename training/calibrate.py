"""Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks).

The labels it is fitted to leave room for one error more than was seen, as Platt (1999,
Probabilistic Outputs for Support Vector Machines) does: a model that makes none on the few people
held out would otherwise be declared certain of everything.
"""

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from training.network import LOGITS

_LIMIT = 10  # far more than is needed: only keeps the search in bounds


def fit_temperature(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature that fits a model's answers on held-out images best.

    Args:
        probabilities: [n, classes], the answers.
        labels: [n], the truth.

    Returns:
        What to divide logits by, between 1/10 and 10; above 1 the model was overconfident.
    """
    logits = np.log(np.clip(probabilities, 1e-12, 1))
    count, classes = probabilities.shape
    targets = np.full((count, classes), 1 / (count + 2) / (classes - 1))
    targets[np.arange(count), labels] = (count + 1) / (count + 2)

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        log_probabilities = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-(targets * log_probabilities).sum(axis=1).mean())

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
