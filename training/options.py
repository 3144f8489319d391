"""Command-line options that several steps share, as argparse parents."""

import argparse
import os
from pathlib import Path
from typing import cast, get_args

from emotion.classifier import CHECKOUT_STORE
from emotion.records import PRECISIONS
from training.backbones import BACKBONES
from training.recipe import Recipe


def data() -> argparse.ArgumentParser:
    """Where the data are."""
    options = argparse.ArgumentParser(add_help=False)
    data_dir = os.environ.get("EMOTION_DATA_DIR")
    options.add_argument(
        "--data-dir",
        type=Path,
        default=Path(data_dir) if data_dir else None,
        help="has ckplus.zip, fer2013.zip, face_detector/ (default: $EMOTION_DATA_DIR)",
    )
    return options


def ckplus() -> argparse.ArgumentParser:
    """Where CK+ is, if it is elsewhere."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--ckplus",
        type=Path,
        help="CK+ as zip or folder (default: in the data directory, else downloaded from Kaggle)",
    )
    return options


def faces() -> argparse.ArgumentParser:
    """How pictures become faces, and which instead of CK+."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--detect", action="store_true", help="crop faces with the detector (for uncropped faces)"
    )
    options.add_argument(
        "--faces",
        type=Path,
        help="faces other than CK+: folder or zip, in it a folder per emotion with PERSON_*.jpg",
    )
    return options


def model() -> argparse.ArgumentParser:
    """Which backbone."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--model", choices=tuple(BACKBONES), required=True)
    return options


def recipe() -> argparse.ArgumentParser:
    """Every field of Recipe but the model; only those given are set."""
    options = argparse.ArgumentParser(add_help=False)
    for name, field in Recipe.model_fields.items():
        if name == "model":
            continue
        choices = get_args(field.annotation)
        default = "the backbone's" if field.is_required() else field.default
        default = "none" if default == "" else default
        options.add_argument(
            f"--{name.replace('_', '-')}",
            type=str if choices else cast(type, field.annotation),
            choices=choices or None,
            default=argparse.SUPPRESS,
            help=f"{field.description} (default: {default})",
        )
    return options


def title() -> argparse.ArgumentParser:
    """What a trial tries."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--title", required=True, help="what was tried, for a reader")
    return options


def from_trial() -> argparse.ArgumentParser:
    """Which trial's folds."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--trial",
        dest="title",
        metavar="TITLE",
        default="",
        help="take the folds that `trial` has kept under this title, not the run's",
    )
    return options


def store() -> argparse.ArgumentParser:
    """Which model store."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--store", type=Path, default=CHECKOUT_STORE, help="the model store")
    return options


def precisions() -> argparse.ArgumentParser:
    """Which precisions."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--precisions", choices=PRECISIONS, nargs="+", default=PRECISIONS, help="only these"
    )
    return options


def web() -> argparse.ArgumentParser:
    """Where faces from the web are: FER2013, or FER+."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--fer2013", type=Path, help="zip or folder (default: in the data directory)"
    )
    options.add_argument(
        "--ferplus",
        type=Path,
        help="take FER+ instead: zip or folder, as its generate_training_data.py makes it",
    )
    return options


def teachers() -> argparse.ArgumentParser:
    """Where the teachers are."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--teacher-run",
        type=Path,
        metavar="DIR",
        help="the --run-dir that holds the models named by --teacher (default: this run's)",
    )
    return options


def protocol() -> argparse.ArgumentParser:
    """How CK+ is divided."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--protocol",
        choices=("subject10", "random"),
        default="subject10",
        help="subject-independent 10-fold (default), or the study's random split, which leaks",
    )
    return options


def folds() -> argparse.ArgumentParser:
    """Which folds, and what stays of them."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--folds-only",
        type=lambda text: [int(fold) for fold in text.split(",")],
        metavar="K,...",
        help="only these folds, counted from 0",
    )
    options.add_argument(
        "--keep-weights", action="store_true", help="keep each fold's weights, not only its answers"
    )
    options.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="folds at once, each in a process with its share of the cores (default: 1)",
    )
    return options


def frames() -> argparse.ArgumentParser:
    """How many frames."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--frames", type=int, help="use only so many frames (default: all)")
    return options


def models() -> argparse.ArgumentParser:
    """Which backbones."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--models",
        choices=tuple(BACKBONES),
        nargs="+",
        default=(),
        help="only these (default: all found)",
    )
    return options
