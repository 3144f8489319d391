"""What was tried on some folds, kept in the store's reports whether it helped or not."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from emotion.records import PRECISIONS, Precision
from training.predictions import (
    PredictionRow,
    PredictionsError,
    read_predictions,
    write_predictions,
)
from training.protocols import Protocol
from training.workspace import TrainedModel, Workspace

FILE = "trials.json"
_JOINT = "; "  # between machines


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
    recipe: dict[str, Any]
    folds: dict[int, TriedFold]

    @property
    def predictions(self) -> str:
        """Name of the file with its raw answers, in the store's reports."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.title.lower())
        return f"trial_{self.model}_{slug}.csv.gz"

    def accuracy(self, precision: Precision) -> float:
        """Return the share of right answers over all its folds' images, 0..1."""
        right = sum(fold.right[precision] for fold in self.folds.values())
        return right / sum(fold.images for fold in self.folds.values())

    def after(self, before: "Trial") -> "Trial":
        """Return this trial with the folds and machines of one before, too."""
        machines = dict.fromkeys((before.machine + _JOINT + self.machine).split(_JOINT))
        folds = dict(sorted((before.folds | self.folds).items()))
        return self.model_copy(update={"machine": _JOINT.join(machines), "folds": folds})


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
    replaced.

    Raises:
        PredictionsError: no fold is finished, or folds differ in recipe, those kept included.
    """
    places = {fold: workspace.fold(protocol.name, fold) for fold in range(protocol.folds)}
    done = {f: place for f, place in places.items() if place.predictions(model).is_file()}
    logs = [TrainedModel.model_validate_json(p.log(model).read_text()) for p in done.values()]
    if not logs or any(log.run.recipe != logs[0].run.recipe for log in logs):
        raise PredictionsError(
            f"{workspace.root} has no finished fold of {model}, or folds of different recipes."
        )
    answers = {fold: read_predictions(place.predictions(model)) for fold, place in done.items()}
    trial = Trial(
        title=title,
        model=model,
        protocol=protocol.name,
        date=datetime.now(UTC).date().isoformat(),
        git_commit=logs[0].run.git_commit,
        machine=_JOINT.join(dict.fromkeys(log.machine for log in logs)),
        recipe=logs[0].run.recipe,
        folds={
            fold: _tried(answers[fold], log.seconds) for fold, log in zip(done, logs, strict=True)
        },
    )
    rows = list(chain.from_iterable(answers.values()))
    kept = read_trials(reports)
    others = [t for t in kept if (t.title, t.model) != (title, model)]
    for before in kept:
        if before not in others:
            rows += _beside(before, trial, reports)
            trial = trial.after(before)
    reports.mkdir(parents=True, exist_ok=True)
    write_predictions(reports / trial.predictions, rows)
    (reports / FILE).write_bytes(_TRIALS.dump_json([*others, trial], indent=1) + b"\n")
    return trial


def kept_rows(
    title: str, models: Sequence[str], protocol: Protocol, reports: Path
) -> list[PredictionRow]:
    """Return the raw answers of ``models``, by default of all, that were kept under a title.

    Raises:
        PredictionsError: there are none of a model, or at all.
    """
    known = [t for t in read_trials(reports) if (t.title, t.protocol) == (title, protocol.name)]
    trials = [t for t in known if not models or t.model in models]
    missing = set(models) - {trial.model for trial in trials}
    if missing or not trials:
        of = f" of {min(missing)}" if missing else ""
        raise PredictionsError(f"{reports / FILE} has no trial '{title}'{of} by {protocol.name}.")
    return [row for trial in trials for row in read_predictions(reports / trial.predictions)]


def _beside(before: Trial, now: Trial, reports: Path) -> list[PredictionRow]:
    """Return the answers of the folds that only the trial before has."""
    if (before.recipe, before.protocol) != (now.recipe, now.protocol):
        raise PredictionsError(
            f"'{now.title}' was kept for {now.model} with another recipe: give another --title."
        )
    rows = read_predictions(reports / before.predictions)
    return [row for row in rows if row.fold not in now.folds]


def _tried(rows: list[PredictionRow], seconds: float) -> TriedFold:
    right = {
        precision: sum(r.predicted == r.label for r in rows if r.precision == precision)
        for precision in PRECISIONS
    }
    images = len({row.image for row in rows})
    return TriedFold(images=images, right=right, seconds=round(seconds, 1))
