"""python -m training: CK+ to the model store, step by step or all at once."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from emotion.classifier import CHECKOUT_STORE
from emotion.errors import EmotionError
from training.recipe import Recipe
from training.workspace import Workspace

Options = argparse.Namespace
MODELS = ("mobilenet", "resnet50", "vgg16")


def prepare(options: Options) -> None:
    """Read CK+, check that it is complete, and bring its faces into the serving pipeline."""
    from training import steps

    steps.prepare(_ckplus(options), _workspace(options), options.detect, options.data_dir)


def pretrain(options: Options) -> None:
    """Train a backbone on FER2013; prints the weights to give to `train --init`."""
    from training import steps

    fer2013: Path = options.fer2013 or (options.data_dir or Path()) / "fer2013.zip"
    print(steps.pretrain(_recipe(options), fer2013, _workspace(options)))


def train(options: Options) -> None:
    """Train a backbone on CK+; goes on where an earlier run of the same folder stopped."""
    from training import steps

    steps.train(_recipe(options), _workspace(options))


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

    publish_model(options.model, _workspace(options), options.store)


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a step; an expected error prints its message and returns status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.step(options)
    except (EmotionError, ValidationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    data, model, recipe, store = _data(), _model(), _recipe_options(), _store()
    fer2013 = argparse.ArgumentParser(add_help=False)
    fer2013.add_argument(
        "--fer2013", type=Path, help="zip or folder (default: in the data directory)"
    )
    takes: list[tuple[Callable[[Options], None], list[argparse.ArgumentParser]]] = [
        (prepare, [data]),
        (pretrain, [model, recipe, data, fer2013]),
        (train, [model, recipe]),
        (quantize, [model]),
        (evaluate, [model]),
        (publish, [model, store]),
        (run, [data, model, recipe, store]),
        (detector, [data, store]),
    ]
    for step, parents in takes:
        sub = steps.add_parser(
            step.__name__, help=step.__doc__, description=step.__doc__, parents=parents
        )
        sub.add_argument(
            "--run-dir", type=Path, default=Path("runs/default"), help="where a run keeps its files"
        )
        sub.set_defaults(step=step)
    return parser


def _data() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    data_dir = os.environ.get("EMOTION_DATA_DIR")
    options.add_argument(
        "--data-dir",
        type=Path,
        default=Path(data_dir) if data_dir else None,
        help="has ckplus.zip, fer2013.zip, face_detector/ (default: $EMOTION_DATA_DIR)",
    )
    options.add_argument(
        "--ckplus",
        type=Path,
        help="CK+ as zip or folder (default: in the data directory, else downloaded from Kaggle)",
    )
    options.add_argument(
        "--detect", action="store_true", help="crop faces with the detector (for uncropped CK+)"
    )
    return options


def _model() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--model", choices=MODELS, required=True)
    return options


def _recipe_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    for name, field in Recipe.model_fields.items():
        if name == "model":
            continue
        default = "the backbone's" if field.is_required() else field.default
        options.add_argument(
            f"--{name.replace('_', '-')}",
            type=cast(type, field.annotation),
            default=argparse.SUPPRESS,
            help=f"{field.description} (default: {default})",
        )
    return options


def _store() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--store", type=Path, default=CHECKOUT_STORE, help="the model store")
    return options


def _recipe(options: Options) -> Recipe:
    from training.backbones import BACKBONES

    given = {name: value for name, value in vars(options).items() if name in Recipe.model_fields}
    return Recipe(**{"input_size": BACKBONES[options.model].input_size, **given})


def _ckplus(options: Options) -> Path:
    from training import datasets

    given: Path | None = options.ckplus
    if given is None and options.data_dir and (options.data_dir / "ckplus.zip").is_file():
        given = options.data_dir / "ckplus.zip"
    return given or datasets.fetch_ckplus()


def _workspace(options: Options) -> Workspace:
    return Workspace(options.run_dir)
