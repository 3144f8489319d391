"""What a training run leaves on disk, so that it goes on where it was killed."""

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion.errors import EmotionError
from training.average import WeightAverage
from training.files import replace_file
from training.recipe import Recipe

# An epoch of CK+ takes an accelerator less than writing a ResNet50 and its optimizer does.
EVERY_SECONDS = 30

_PROGRESS = "progress.json"


class OtherRunError(EmotionError):
    """The folder holds the checkpoint of a run that did something else."""


@dataclass
class Progress:
    """Where a run stands."""

    run: str  # fingerprint of what it does
    git_commit: str = ""  # of the code that began it
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
    """A run's progress and its best weights; a kill takes both back to what was last written."""

    def __init__(self, folder: Path, run: str, git_commit: str) -> None:
        """Take up the run that ``folder`` holds, or begin one.

        Args:
            folder: receives ``progress.json``, and beside it the model and the weights of the
                epoch that it names.
            run: fingerprint of what the run does.
            git_commit: of the code, noted of a run that begins.

        Raises:
            OtherRunError: the folder holds another run.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._due = 0.0  # at once: a folder that cannot be written shows in the first epoch
        self.best: list[Any] = []  # weights, as ``set_weights`` takes them
        self.progress = Progress(run, git_commit)
        path = folder / _PROGRESS
        if not path.is_file():
            return
        self.progress = Progress(**json.loads(path.read_text()))
        if self.progress.run != run or not self._weights.is_file():
            raise OtherRunError(
                f"{folder} holds a run with another recipe, other data or an older version: "
                "delete it to start anew, or give another --run-dir."
            )
        self.best = self._read("best")

    def resume(self, decay: float) -> tuple[keras.Model, WeightAverage]:
        """Load the model of the last epoch, its optimizer included, and its weights' average."""
        model = keras.models.load_model(self._model)
        average = WeightAverage(model, decay)
        average.restore(self._read("average"))
        return model, average

    def note_best(self, model: keras.Model) -> None:
        """Remember the model's weights as the best ones, and its epoch."""
        self.best = model.get_weights()
        self.progress.best_epoch = self.progress.epoch

    def save(self, model: keras.Model, average: WeightAverage, *, last: bool) -> None:
        """Write everything where half a minute has passed or this is the ``last`` epoch."""
        if not last and time.monotonic() < self._due:
            return
        model.save(self._model)
        arrays = {"best": self.best, "average": average.values}
        named = {f"{of}{i:04}": a for of, group in arrays.items() for i, a in enumerate(group)}
        np.savez(self._weights, **named)
        progress = json.dumps(asdict(self.progress), indent=1)
        replace_file(self._folder / _PROGRESS, progress.encode())
        for path in self._folder.iterdir():  # a killed save may have left this epoch's, too
            if path.suffix in (".keras", ".npz") and path not in (self._model, self._weights):
                path.unlink()
        self._due = time.monotonic() + EVERY_SECONDS

    @property
    def _model(self) -> Path:
        return self._folder / f"{self.progress.epoch}.keras"

    @property
    def _weights(self) -> Path:
        return self._folder / f"{self.progress.epoch}.npz"

    def _read(self, of: str) -> list[Any]:
        with np.load(self._weights) as arrays:
            return [arrays[name] for name in sorted(arrays.files) if name.startswith(of)]
