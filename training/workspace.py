"""Where a run keeps what one step leaves for the next."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from emotion.records import PRECISIONS, Latency, Metrics, Precision, TrainingRun
from training.datasets import DatasetError


class RunLog(BaseModel):
    """The log of a training run: everything needed to repeat it, and how it went."""

    model_config = ConfigDict(extra="forbid")

    run: TrainingRun
    epochs: int
    best_epoch: int
    seconds: float
    peak_memory_bytes: int | None = None  # of the process that ended it; not before 2026-11-28
    machine: str
    packages: dict[str, str]
    history: list[dict[str, float]]


class TrainedModel(RunLog):
    """A classifier of CK+'s emotions, calibrated."""

    temperature: float
    teachers: dict[str, TrainingRun] = {}  # that its recipe names; not noted before 2026-11-28


class PretrainedBase(RunLog):
    """A base that was trained on FER2013's emotions, or FER+'s."""

    private_test_accuracy: float


class Evaluation(BaseModel):
    """What the artifacts of one model measured."""

    model_config = ConfigDict(extra="forbid")

    dataset: str = "CK+ (Lucey et al. 2010)"
    metrics: dict[Precision, Metrics]
    latency: dict[Precision, Latency]
    agreement_with_float32: dict[Precision, float]


@dataclass(frozen=True)
class Workspace:
    """The files of one run: prepared data, and a folder per model."""

    root: Path

    @property
    def dataset(self) -> Path:
        """What ``prepare`` writes."""
        return self.root / "ckplus.npz"

    def folder(self, model: str) -> Path:
        """Everything about one model."""
        return self.root / model

    def fold(self, protocol: str, fold: int) -> "Workspace":
        """Return the workspace of one fold of a cross-validation; it has no dataset."""
        return Workspace(self.root / "crossval" / protocol / f"fold{fold:02}")

    def weights(self, model: str) -> Path:
        """The calibrated weights ``train`` leaves."""
        return self.folder(model) / "final.weights.h5"

    def log(self, model: str) -> Path:
        """The TrainedModel ``train`` leaves."""
        return self.folder(model) / "train.json"

    def pretrained(self, model: str, faces: str) -> Path:
        """The weights that ``pretrain`` leaves, trained on ``fer2013`` or ``ferplus``."""
        return self.folder(model) / f"{model}_{faces}.npz"

    def pretrained_log(self, model: str, faces: str) -> Path:
        """The PretrainedBase that ``pretrain`` leaves beside them."""
        return self.folder(model) / f"pretrain_{faces}.json"

    def artifact(self, model: str, precision: Precision) -> Path:
        """What ``quantize`` leaves."""
        return self.folder(model) / f"{precision}.tflite"

    def evaluation(self, model: str) -> Path:
        """The Evaluation ``evaluate`` leaves."""
        return self.folder(model) / "evaluation.json"

    def predictions(self, model: str) -> Path:
        """The raw answers ``evaluate`` leaves."""
        return self.folder(model) / "predictions.csv"

    def discard_artifacts(self, model: str) -> None:
        """Delete artifacts and their figures, so that none outlives the weights it came from."""
        for path in (self.evaluation(model), *(self.artifact(model, p) for p in PRECISIONS)):
            path.unlink(missing_ok=True)

    def left(self, path: Path, step: str) -> Path:
        """Return the path of what an earlier step left; raises DatasetError if it did not."""
        if not path.is_file():
            raise DatasetError(f"{path} does not exist: run `python -m training {step}` first.")
        return path

    def read(self, path: Path, step: str) -> bytes:
        """Read what an earlier step left; raises DatasetError naming that step if it did not."""
        return self.left(path, step).read_bytes()
