"""Weights published for TensorFlow.js: a JSON file, and binary files that it names."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_TYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32}


def is_tfjs(init: str | Path) -> bool:
    """Whether initial weights are given so."""
    return Path(init).suffix == ".json"


def has_layers(model: Path) -> bool:
    """Whether it is a Keras model's layers, not a graph whose batch normalisations are folded.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    return bool(_read(model).get("format") == "layers-model")


def files(model: Path) -> list[Path]:
    """Return the files of a model, its JSON first; raises as ``read_arrays`` does."""
    groups = _read(model)["weightsManifest"]
    return [model, *(model.parent / name for group in groups for name in group["paths"])]


def read_arrays(model: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return a model's arrays by name; ``model`` is its JSON file.

    Raises:
        OSError: a file is missing.
        ValueError, KeyError: it is no such model, or its arrays do not fill its files.
    """
    arrays = {}
    for group in _read(model)["weightsManifest"]:
        content = b"".join((model.parent / name).read_bytes() for name in group["paths"])
        start = 0
        for weight in group["weights"]:
            stored = weight.get("quantization", weight)["dtype"]
            if stored not in _TYPES:
                raise ValueError(f"{weight['name']} is {stored}")
            count = int(np.prod(weight["shape"]))
            array = np.frombuffer(content, _TYPES[stored], count, start)
            arrays[weight["name"]] = array.reshape(weight["shape"]).astype(np.float32)
            start += array.nbytes
        if start != len(content):
            raise ValueError(f"its arrays have {start} bytes, its files {len(content)}")
    return arrays


def _read(model: Path) -> dict[str, Any]:
    read = json.loads(model.read_text())
    if not isinstance(read, dict):
        raise ValueError("it is no model")
    return read
