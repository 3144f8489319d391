"""What a larger input buys and costs: accuracy of kept trials, latency measured in one run."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from emotion.interpreter import Interpreter
from emotion.machine import machine
from emotion.records import PRECISIONS, Precision
from training.plots import plot_input_sizes
from training.predictions import PredictionsError
from training.quantize import quantize
from training.recipe import Recipe
from training.trials import Trial, read_trials

ROUNDS = 100
_CALIBRATION = 8  # images: of noise, for latency does not depend on what is seen


class MeasuredSize(BaseModel):
    """One side of the input, in pixels."""

    model_config = ConfigDict(extra="forbid")

    size: int
    images: int
    accuracy: dict[Precision, float]
    p50_ms: dict[Precision, float]


class InputSizes(BaseModel):
    """Trials of one recipe that differ in the input's size alone."""

    model_config = ConfigDict(extra="forbid")

    model: str
    folds: list[int]
    machine: str  # of the latencies
    date: str
    sizes: list[MeasuredSize]


def input_sizes(model: str, reports: Path) -> Path:
    """Put the accuracies of kept trials beside latencies, and draw them.

    Args:
        model: the backbone.
        reports: the store's reports folder, where the trials are and the result goes.

    Returns:
        ``input_sizes_<model>.json``; the figure lies beside it.

    Raises:
        PredictionsError: no two trials differ in the input's size alone.
    """
    known = [trial for trial in read_trials(reports) if trial.model == model]
    trials = _comparable([trial for trial in known if all(map(trial.has, PRECISIONS))])
    if len(trials) < 2:
        raise PredictionsError(
            f"{reports} has no two trials of {model} that differ in --input-size alone: run "
            "`python -m training crossval` and `trial` with two sizes."
        )
    p50 = _latencies({size: trial.settled for size, trial in trials.items()})
    found = InputSizes(
        model=model,
        folds=list(next(iter(trials.values())).folds),
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
        sizes=[
            MeasuredSize(
                size=size,
                images=trial.images,
                accuracy={p: trial.accuracy(p) for p in PRECISIONS},
                p50_ms=p50[size],
            )
            for size, trial in sorted(trials.items())
        ],
    )
    path = reports / f"input_sizes_{model}.json"
    path.write_text(found.model_dump_json(indent=1) + "\n")
    plot_input_sizes(
        {
            precision: [(s.size, s.p50_ms[precision], s.accuracy[precision]) for s in found.sizes]
            for precision in PRECISIONS
        },
        f"{model}, folds {', '.join(map(str, found.folds))}",
        path.with_suffix(".png"),
    )
    return path


def _comparable(trials: Sequence[Trial]) -> dict[int, Trial]:
    """Return the most trials that differ in the size alone, by size."""
    groups: defaultdict[tuple[object, ...], dict[int, Trial]] = defaultdict(dict)
    for trial in trials:
        recipe = trial.settled
        same = recipe.model_copy(update={"input_size": 0})
        groups[trial.protocol, *trial.folds, same][recipe.input_size] = trial
    return max(groups.values(), key=len, default={})


def _latencies(recipes: Mapping[int, Recipe]) -> dict[int, dict[Precision, float]]:
    """Time networks of random weights, one call of each in turn: a slow moment hits them all."""
    import keras  # not for those who only read results

    from training.network import build_classifier

    random = np.random.default_rng(0)
    networks = {}
    for size, recipe in recipes.items():
        pixels = random.integers(0, 256, (_CALIBRATION, size, size, 3), np.uint8)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            weights = folder / "random.weights.h5"
            build_classifier(recipe.model, size, "random", recipe.dropout).save_weights(weights)
            keras.backend.clear_session()
            quantize(recipe, weights, pixels, folder)
            for precision in PRECISIONS:
                content = (folder / f"{precision}.tflite").read_bytes()
                networks[size, precision] = Interpreter(content, threads=1), pixels[:1]
    times: defaultdict[tuple[int, Precision], list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for key, (interpreter, pixels) in networks.items():
            start = time.perf_counter()
            interpreter.run(pixels)
            times[key].append(1000 * (time.perf_counter() - start))
    return {
        size: {p: round(float(np.median(times[size, p])), 3) for p in PRECISIONS}
        for size in recipes
    }
