"""What a training run leaves on disk, so that it goes on where it was killed."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion.errors import EmotionError
from training.average import WeightAverage
from training.recipe import Recipe

# An epoch of CK+ takes an accelerator less than writing a ResNet50 and its optimizer does.
EVERY_SECONDS = 30

_LAST = "last.keras"
_AVERAGE = "average.npz"
_BEST = "best.npz"
_PROGRESS = "progress.json"


class OtherRunError(EmotionError):
    """The folder holds the checkpoint of a run that did something else."""


@dataclass
class Progress:
    """Where a run stands."""

    run: str  # fingerprint of its recipe and data
    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def finished(self, recipe: Recipe) -> bool:
        """Whether every epoch is done, or the last ``patience`` ones brought nothing better."""
        waited = self.epoch - max(self.best_epoch, recipe.head_epochs)
        return self.epoch >= recipe.head_epochs + recipe.epochs or waited >= recipe.patience

    def and_then(self, again: "Progress") -> "Progress":
        """Return the course of this run and of a second one, whose model is kept."""
        return replace(
            again,
            epoch=self.epoch + again.epoch,
            best_epoch=self.epoch + again.best_epoch,
            seconds=self.seconds + again.seconds,
            history=self.history + again.history,
        )


class Checkpoint:
    """A run's progress and its best weights, which a kill takes back to what was last written."""

    def __init__(self, folder: Path, run: str) -> None:
        """Take up the run that ``folder`` holds, or begin one.

        Args:
            folder: receives ``last.keras``, ``average.npz`` where weights are averaged,
                ``best.npz`` and ``progress.json``.
            run: fingerprint of its recipe and data.

        Raises:
            OtherRunError: the folder holds a run with another one.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.progress = Progress(run)
        self._best: list[Any] = []
        self._due = 0.0  # at once: a folder that cannot be written shows in the first epoch
        if not (folder / _PROGRESS).is_file():
            return
        self.progress = Progress(**json.loads((folder / _PROGRESS).read_text()))
        if self.progress.run != run:
            raise OtherRunError(
                f"{folder} holds a run with another recipe or other data: delete it to start "
                "anew, or give another --run-dir."
            )
        self._best = _read(folder / _BEST)

    def model(self) -> keras.Model:
        """Load the model of the last epoch, its optimizer included."""
        return keras.models.load_model(self._folder / _LAST)

    def average(self) -> list[Any]:
        """Load the averages of the last epoch's weights."""
        return _read(self._folder / _AVERAGE)

    @property
    def best(self) -> list[Any]:
        """The weights of the best epoch, as ``set_weights`` takes them."""
        return self._best

    def note_best(self, model: keras.Model) -> None:
        """Remember the model's weights as the best ones, and its epoch."""
        self._best = model.get_weights()
        self.progress.best_epoch = self.progress.epoch

    def save(self, model: keras.Model, average: WeightAverage, *, last: bool) -> None:
        """Write everything where half a minute has passed or this is the ``last`` epoch."""
        if not last and time.monotonic() < self._due:
            return
        if average.values:
            _write(self._folder / _AVERAGE, average.values)
        _write(self._folder / _BEST, self._best)
        model.save(self._folder / f"new.{_LAST}")
        (self._folder / f"new.{_LAST}").replace(self._folder / _LAST)
        new = self._folder / f"new.{_PROGRESS}"
        new.write_text(json.dumps(asdict(self.progress), indent=1))
        new.replace(self._folder / _PROGRESS)
        self._due = time.monotonic() + EVERY_SECONDS


def _write(path: Path, arrays: Sequence[Any]) -> None:
    new = path.with_name(f"new.{path.name}")
    np.savez(new, *arrays)
    new.replace(path)


def _read(path: Path) -> list[Any]:
    with np.load(path) as arrays:
        return [arrays[name] for name in arrays.files]
