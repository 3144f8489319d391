"""python -m training: CK+ to the model store, step by step or all at once."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from emotion.errors import EmotionError
from emotion.records import PRECISIONS
from emotion.store import REPORTS
from training import options as parents
from training.backbones import BACKBONES
from training.recipe import Recipe
from training.workspace import Workspace

if TYPE_CHECKING:
    from training.datasets import FaceDataset

Options = argparse.Namespace


class OptionError(EmotionError):
    """An option's value makes no sense beside another's."""


def prepare(options: Options) -> None:
    """Read CK+ (or --faces) and bring its faces into the serving pipeline."""
    from training import steps

    pictures: Path | None = options.faces
    steps.prepare(
        pictures or _ckplus(options),
        _workspace(options),
        options.detect,
        options.data_dir,
        ckplus=pictures is None,
    )


def pretrain(options: Options) -> None:
    """Train a backbone on FER2013, or FER+; prints the weights to give to `train --init`."""
    from training import pretrain as stage

    recipe = _recipe(options)
    if recipe.rehearsal or recipe.teacher or recipe.refit != "none":
        raise OptionError(
            "--rehearsal, --teacher and --refit are for the stages after this one: leave them out "
            "here."
        )
    workspace = _workspace(options)
    voted: Path | None = options.ferplus
    faces = stage.ferplus(voted) if voted else stage.fer2013(_fer2013(options))
    log = stage.pretrain(recipe, faces, workspace)
    print(f"{faces.learn.title}'s private test: {log.private_test_accuracy:.1%}")
    print(workspace.pretrained(options.model, faces.name))


def train(options: Options) -> None:
    """Train a backbone on CK+; goes on where an earlier run of the same folder stopped."""
    from training import steps

    recipe = _recipe(options)
    steps.train(recipe, _workspace(options), _beside(recipe, options), _teachers(options))


def quantize(options: Options) -> None:
    """Convert the trained backbone to float32, float16 and int8 artifacts."""
    from training import steps

    steps.quantize_model(options.model, _workspace(options))


def evaluate(options: Options) -> None:
    """Measure the artifacts' accuracy and latency on held-out subjects."""
    from training import steps

    for precision, metrics in steps.evaluate(options.model, _workspace(options)).metrics.items():
        print(f"{options.model} {precision}: {metrics.accuracy:.1%} of {metrics.images} images")


def publish(options: Options) -> None:
    """Put the measured artifacts into the model store, if they are good enough."""
    from training.publish import publish_model

    precisions = getattr(options, "precisions", PRECISIONS)
    publish_model(options.model, _workspace(options), options.store, precisions)


def detector(options: Options) -> None:
    """Convert the Caffe face detector, compare it with the original, publish what is as good."""
    from training.detector.steps import make_detectors

    folder = options.run_dir / "detector"
    found = make_detectors(_ckplus(options), options.data_dir, folder, options.store)
    for precision, agreement in found.agreement.items():
        whole = agreement["all"]
        print(
            f"detector {precision}: {found.speedup(precision):.1f} times faster than Caffe, lost "
            f"{whole.lost} of {whole.faces} faces, IoU {whole.mean_iou:.4f}"
        )


def run(options: Options) -> None:
    """Prepare, train, quantize, evaluate and publish one backbone."""
    for step in (prepare, train, quantize, evaluate, publish):
        print(f"== {step.__name__}")
        step(options)


def crossval(options: Options) -> None:
    """Train a backbone once per fold and predict each fold's test images; resumable."""
    from training.protocols import PROTOCOLS

    protocol = PROTOCOLS[options.protocol]
    folds = options.folds_only or range(protocol.folds)
    if not set(folds) <= set(range(protocol.folds)):
        raise OptionError(f"{protocol.name} has the folds 0 to {protocol.folds - 1}: {folds}.")
    if options.jobs > 1:
        from training.side_by_side import side_by_side

        own = [Options(**vars(options) | {"folds_only": [fold], "jobs": 1}) for fold in folds]
        side_by_side(options.step, own, options.jobs)
        return
    from training.crossval import crossval  # Keras, which only those who train need

    recipe = _recipe(options)
    beside = _beside(recipe, options)
    crossval(
        recipe,
        protocol,
        _workspace(options),
        folds,
        options.keep_weights,
        beside,
        _teachers(options),
        options.precisions,
    )


def merge(options: Options) -> None:
    """Collect the folds' predictions in the store's reports; refuses incomplete ones."""
    from training.merge import merge
    from training.protocols import PROTOCOLS

    protocol = PROTOCOLS[options.protocol]
    reports: Path = options.store / REPORTS
    models = merge(protocol, _workspace(options), reports, options.models, options.title)
    print(f"{reports / protocol.file}: {', '.join(models)}")


def trial(options: Options) -> None:
    """Keep what the finished folds of a run gave in the store's reports, under a title.

    They are added to those of the same title and recipe, so that folds can be run on several days.
    """
    from training.protocols import PROTOCOLS
    from training.trials import keep_trial

    protocol = PROTOCOLS[options.protocol]
    reports: Path = options.store / REPORTS
    kept = keep_trial(options.title, options.model, protocol, _workspace(options), reports)
    print(f"{kept.title}: {len(kept.folds)} folds of {kept.model}")


def report(options: Options) -> None:
    """Write tables and figures from the raw predictions in the store's reports."""
    from training.report import report

    print(report(options.store))


def sizes(options: Options) -> None:
    """Put kept trials of several --input-size beside their latency, and draw them."""
    from training.sizes import input_sizes

    path = input_sizes(options.model, options.store / REPORTS)
    print(path.read_text())


def robustness(options: Options) -> None:
    """Measure the store's artifacts on pictures as a camera makes them, detector included."""
    from training.robustness import robustness

    page = robustness(options.model, options.store, _ckplus(options), options.frames)
    print(page.read_text())


def latency(options: Options) -> None:
    """Time every artifact of the store in one run, so that they can be compared."""
    from training.latency import time_again

    for record in time_again(options.store):
        print(f"{record.name}: {record.latency.p50_ms:.2f} ms")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a step; an expected error prints its message and returns status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.step(options)
    except (EmotionError, ValidationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that may not be written
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    data, model, recipe = parents.data(), parents.model(), parents.recipe()
    ckplus, web = parents.ckplus(), parents.web()
    store, protocol, faces = parents.store(), parents.protocol(), parents.faces()
    folds, teachers, precisions = parents.folds(), parents.teachers(), parents.precisions()
    takes: list[tuple[Callable[[Options], None], list[argparse.ArgumentParser]]] = [
        (prepare, [data, ckplus, faces]),
        (pretrain, [model, recipe, data, web]),
        (train, [model, recipe, data, web, teachers]),
        (quantize, [model]),
        (evaluate, [model]),
        (publish, [model, store, precisions]),
        (run, [data, ckplus, web, faces, model, recipe, store, teachers]),
        (crossval, [model, recipe, data, web, protocol, folds, teachers, precisions]),
        (merge, [protocol, store, parents.models(), parents.from_trial()]),
        (trial, [model, protocol, store, parents.title()]),
        (report, [store]),
        (sizes, [model, store]),
        (robustness, [model, data, ckplus, store, parents.frames()]),
        (detector, [data, ckplus, store]),
        (latency, [store]),
    ]
    for step, shared in takes:
        sub = steps.add_parser(
            step.__name__, help=step.__doc__, description=step.__doc__, parents=shared
        )
        sub.add_argument(
            "--run-dir", type=Path, default=Path("runs/default"), help="where a run keeps its files"
        )
        sub.set_defaults(step=step)
    return parser


def _recipe(options: Options) -> Recipe:
    given = {name: value for name, value in vars(options).items() if name in Recipe.model_fields}
    return Recipe(**{"input_size": BACKBONES[options.model].input_size, **given})


def _fer2013(options: Options) -> Path:
    given: Path | None = options.fer2013
    return given or cast(Path, options.data_dir or Path()) / "fer2013.zip"


def _beside(recipe: Recipe, options: Options) -> "FaceDataset | None":
    from training import web

    if not recipe.rehearsal:
        return None
    if options.ferplus:
        return web.ckplus_of_ferplus(web.load_ferplus(options.ferplus, "Train"))
    return web.ckplus_of_fer2013(web.load_fer2013(_fer2013(options), "train"))


def _teachers(options: Options) -> Workspace | None:
    return Workspace(options.teacher_run) if options.teacher_run else None


def _ckplus(options: Options) -> Path:
    from training.datasets import fetch_ckplus

    given: Path | None = options.ckplus
    if given is None and options.data_dir and (options.data_dir / "ckplus.zip").is_file():
        return cast(Path, options.data_dir / "ckplus.zip")
    return given or fetch_ckplus()


def _workspace(options: Options) -> Workspace:
    return Workspace(options.run_dir)
