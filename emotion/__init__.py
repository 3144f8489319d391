"""Facial-expression recognition: bytes in, seven emotion probabilities out.

>>> from emotion import Classifier
>>> classifier = Classifier()
>>> classifier.predict("photo.jpg", model="mobilenet", precision="int8").emotion
'happy'
"""

from emotion.classifier import Classifier
from emotion.errors import EmotionError
from emotion.labels import EMOTIONS
from emotion.results import ComparedArtifact, Comparison, FacePrediction, Prediction

__all__ = [
    "EMOTIONS",
    "Classifier",
    "ComparedArtifact",
    "Comparison",
    "EmotionError",
    "FacePrediction",
    "Prediction",
]
