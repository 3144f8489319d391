"""Exponential moving average of a model's weights (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

_EVERY = 4  # steps


class WeightAverage(keras.callbacks.Callback):  # type: ignore[misc]
    """Follows the weights, batch statistics included, while ``fit`` changes them.

    Keras's own ``use_ema`` overwrites the weights at the end of every ``fit`` call, of which
    there is one an epoch here; the training itself would then go on from the average.

    It looks at every fourth step and an epoch's last: copying the weights from an accelerator
    takes longer than a step there.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        """Start at the model's weights; with ``decay`` 0 there is no average."""
        super().__init__()
        self._weights = model.weights
        self._decay = decay
        self._averages: list[Any] = self._copies() if decay else []

    @property
    def values(self) -> list[Any]:
        """The averages, in the order of the model's weights; none with ``decay`` 0."""
        return self._averages

    def restore(self, values: list[Any]) -> None:
        """Go on from ``values``."""
        self._averages = values

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move on; the first steps of a phase count more, so that its start fades."""
        steps = batch % _EVERY + 1  # since it looked last
        if not self._averages or (steps < _EVERY and batch + 1 < self.params["steps"]):
            return
        step = int(self.model.optimizer.iterations)
        decay = min(self._decay, (1 + step) / (10 + step)) ** steps
        for average, weight in zip(self._averages, self._weights, strict=False):
            average += (1 - decay) * (keras.ops.convert_to_numpy(weight) - average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights for a while."""
        if not self._averages:
            yield
            return
        trained = self._copies()
        self._assign(self._averages)
        try:
            yield
        finally:
            self._assign(trained)

    def _copies(self) -> list[Any]:
        return [keras.ops.convert_to_numpy(weight).copy() for weight in self._weights]

    def _assign(self, values: list[Any]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)
