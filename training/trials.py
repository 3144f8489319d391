"""What was tried on some folds, kept in the store's reports whether it helped or not."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from emotion.records import Precision
from training.files import replace_file
from training.predictions import (
    PredictionRow,
    PredictionsError,
    by_artifact,
    read_predictions,
    write_predictions,
)
from training.protocols import Protocol
from training.recipe import Recipe
from training.workspace import TrainedModel, Workspace

FILE = "trials.json"
_JOINT = "; "  # between machines, or commits


class TriedFold(BaseModel):
    """How one fold's artifacts did on its test images."""

    model_config = ConfigDict(extra="forbid")

    images: int
    right: dict[Precision, int]
    seconds: float | None  # of training


class Trial(BaseModel):
    """One recipe, tried on some folds of a protocol."""

    model_config = ConfigDict(extra="forbid")

    title: str
    model: str
    protocol: str
    date: str
    git_commit: str
    machine: str
    data_fingerprint: str = ""  # what it was trained on; not noted before 2026-11-27
    recipe: dict[str, Any]
    folds: dict[int, TriedFold]

    @property
    def key(self) -> tuple[str, str, str]:
        """What no two trials share."""
        return self.title, self.model, self.protocol

    @property
    def predictions(self) -> str:
        """Name of the file with its raw answers, in the store's reports."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.title.lower())
        return f"trial_{self.model}_{self.protocol}_{slug}.csv.gz"

    @property
    def settled(self) -> Recipe:
        """Its recipe, with what recipes could not say yet when it was made."""
        return Recipe.model_validate(self.recipe)

    @property
    def images(self) -> int:
        """How many images its folds have together."""
        return sum(fold.images for fold in self.folds.values())

    def has(self, precision: Precision) -> bool:
        """Whether all its folds were converted to it."""
        return all(precision in fold.right for fold in self.folds.values())

    def accuracy(self, precision: Precision) -> float:
        """Return the share of right answers over all its folds' images, 0..1."""
        return sum(fold.right[precision] for fold in self.folds.values()) / self.images

    def after(self, before: "Trial") -> "Trial":
        """Return this trial with the folds and machines of one before, too.

        Raises:
            PredictionsError: that had another recipe, or other data.
        """
        data = {self.data_fingerprint, before.data_fingerprint} - {""}
        if self.settled != before.settled or len(data) > 1:
            raise PredictionsError(
                f"'{self.title}' has folds of {self.model} with another recipe or other data: give "
                "another --title."
            )
        machine = joined((*before.machine.split(_JOINT), self.machine))
        folds = dict(sorted((before.folds | self.folds).items()))
        return self.model_copy(update={"machine": machine, "folds": folds})


def joined(texts: Iterable[str]) -> str:
    """Name what several folds were made by, each once."""
    return _JOINT.join(dict.fromkeys(texts))


_TRIALS = TypeAdapter(list[Trial])


def read_trials(reports: Path) -> list[Trial]:
    """Return the trials in the order they were made; none where none is kept."""
    path = reports / FILE
    return _TRIALS.validate_json(path.read_bytes()) if path.is_file() else []


def keep_trial(
    title: str, model: str, protocol: Protocol, workspace: Workspace, reports: Path
) -> Trial:
    """Keep the finished folds of a run, raw answers and all, beside those kept before.

    So ten folds need not be run in one go, nor on one machine. A fold that was kept before is
    replaced; commit and date are the last run's.

    Raises:
        PredictionsError: no fold is finished, folds differ in recipe or data, those kept
            included, or a kept one has more precisions.
    """
    places = {fold: workspace.fold(protocol.name, fold) for fold in range(protocol.folds)}
    done = {f: place for f, place in places.items() if place.predictions(model).is_file()}
    if not done:
        raise PredictionsError(f"{workspace.root} has no finished fold of {model}.")
    kept = read_trials(reports)
    trial: Trial | None = next((t for t in kept if t.key == (title, model, protocol.name)), None)
    others = [other for other in kept if other is not trial]
    rows = read_predictions(reports / trial.predictions) if trial else []
    for fold, place in done.items():
        log = TrainedModel.model_validate_json(place.log(model).read_text())
        answers = read_predictions(place.predictions(model))
        one = Trial(
            title=title,
            model=model,
            protocol=protocol.name,
            date=datetime.now(UTC).date().isoformat(),
            git_commit=log.run.git_commit,
            machine=log.machine,
            data_fingerprint=log.run.data_fingerprint,
            recipe=log.run.recipe,
            folds={fold: _tried(answers, log.seconds)},
        )
        before = trial.folds.get(fold) if trial else None
        if before and before.right.keys() > one.folds[fold].right.keys():
            raise PredictionsError(
                f"'{title}' has fold {fold} of {model} in more precisions: give another --title."
            )
        trial = one.after(trial) if trial else one
        rows = [row for row in rows if row.fold != fold] + answers
    assert trial is not None  # noqa: S101 (there is a fold)
    if trial.predictions in {other.predictions for other in others}:
        raise PredictionsError(f"'{title}' is too like a title that is kept: give another --title.")
    reports.mkdir(parents=True, exist_ok=True)
    write_predictions(reports / trial.predictions, rows)
    replace_file(reports / FILE, _TRIALS.dump_json([*others, trial], indent=1) + b"\n")
    return trial


def kept_trials(
    title: str, models: Sequence[str], protocol: Protocol, reports: Path
) -> list[Trial]:
    """Return the trials of ``models``, by default of all, under a title.

    Raises:
        PredictionsError: there are none of a model, or at all.
    """
    known = [t for t in read_trials(reports) if (t.title, t.protocol) == (title, protocol.name)]
    trials = [t for t in known if not models or t.model in models]
    missing = set(models) - {trial.model for trial in trials}
    if missing or not trials:
        of = f" of {min(missing)}" if missing else ""
        raise PredictionsError(f"{reports / FILE} has no trial '{title}'{of} by {protocol.name}.")
    return trials


def _tried(rows: list[PredictionRow], seconds: float) -> TriedFold:
    right = {
        precision: sum(row.predicted == row.label for row in group)
        for (_, precision), group in by_artifact(rows)
    }
    images = len({row.image for row in rows})
    return TriedFold(images=images, right=right, seconds=round(seconds, 1))
