"""Requests of the Open Inference Protocol to learn from: the OpenAPI document's examples."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.server import ROOT
from emotion.classifier import CHECKOUT_STORE
from emotion.store import ModelStore

PICTURE = "a picture that already is a face, in base64"
TENSOR = "a ready tensor, of which data shows the beginning"
_FACE = (165, 58, 285, 178)  # in examples/astronaut.jpg
_SIDE = 64  # small, so that it can be read past
_SHOWN = 9


def infer_requests() -> dict[str, dict[str, Any]]:
    """Return whole requests by what they show, to be sent to mobilenet."""
    face = Image.open(ROOT / "examples" / "astronaut.jpg").convert("L").crop(_FACE)
    buffer = io.BytesIO()
    face.resize((_SIDE, _SIDE)).save(buffer, "JPEG", quality=50)
    side = ModelStore(CHECKOUT_STORE).record("mobilenet", "int8").input_size
    grey = np.asarray(face.resize((side, side)))
    tensor = np.repeat(grey[None, ..., None], 3, axis=3)
    image = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "data": [base64.b64encode(buffer.getvalue()).decode()],
    }
    pixels = {
        "name": "pixels",
        "shape": list(tensor.shape),
        "datatype": "UINT8",
        "data": tensor.ravel().tolist(),
    }
    return {
        PICTURE: {"parameters": {"faces": "whole"}, "inputs": [image]},
        TENSOR: {"inputs": [pixels]},
    }


def shortened(request: dict[str, Any]) -> dict[str, Any]:
    """Cut what no one reads: the tensor's values but the first."""
    inputs = [tensor | {"data": tensor["data"][:_SHOWN]} for tensor in request["inputs"]]
    return request | {"inputs": inputs}
