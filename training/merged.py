"""Which recipe the merged answers of a protocol come from: beside them, in the store's reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from training.files import replace_file
from training.protocols import Protocol
from training.recipe import Recipe
from training.trials import Trial, joined
from training.workspace import TrainedModel


class MergedRecipe(BaseModel):
    """How all folds of one model were trained."""

    model_config = ConfigDict(extra="forbid")

    recipe: dict[str, Any]
    data_fingerprint: str
    git_commit: str
    machine: str

    def is_of(self, trained: TrainedModel) -> bool:
        """Whether a model was trained by the same recipe, on the same data."""
        recipes = (Recipe.model_validate(recipe) for recipe in (self.recipe, trained.run.recipe))
        return len(set(recipes)) == 1 and self.data_fingerprint == trained.run.data_fingerprint


_RECIPES = TypeAdapter(dict[str, MergedRecipe])


def of_folds(logs: Sequence[TrainedModel]) -> MergedRecipe:
    """Describe folds that are known to be of one recipe."""
    return MergedRecipe(
        recipe=logs[0].run.recipe,
        data_fingerprint=logs[0].run.data_fingerprint,
        git_commit=joined(log.run.git_commit for log in logs),
        machine=joined(log.machine for log in logs),
    )


def of_trial(trial: Trial) -> MergedRecipe:
    """Describe a kept trial's folds."""
    return MergedRecipe(**trial.model_dump(include=set(MergedRecipe.model_fields)))


def read_recipes(reports: Path, protocol: Protocol) -> dict[str, MergedRecipe]:
    """Return the recipes by model; those merged before 2026-11-28 are not noted."""
    path = reports / protocol.recipes
    return _RECIPES.validate_json(path.read_bytes()) if path.is_file() else {}


def note_recipes(reports: Path, protocol: Protocol, recipes: dict[str, MergedRecipe]) -> None:
    """Write recipes beside those of other models."""
    noted = dict(sorted((read_recipes(reports, protocol) | recipes).items()))
    replace_file(reports / protocol.recipes, _RECIPES.dump_json(noted, indent=1) + b"\n")
