"""The pipeline as each peer hosts it: a JPEG's bytes to an answer, with one interpreter."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # a peer's environment has the library's needs

import cv2

from emotion import Classifier


def load() -> Classifier:
    """Open the store and warm what requests will want."""
    cv2.setNumThreads(1)  # as in the service: the peers bring their own parallelism
    classifier = Classifier()
    classifier.registry.get("mobilenet", "int8")
    return classifier


def answer(classifier: Classifier, image: bytes) -> dict[str, Any]:
    """Predict with MobileNet in int8, as /predict does by default."""
    said = classifier.predict(image).faces[0]
    return {"emotion": said.emotion, "probabilities": said.probabilities.tolist()}
