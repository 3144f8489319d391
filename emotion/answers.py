"""The library's answers as plain JSON values, with the names the HTTP answers use."""

from collections.abc import Mapping, Sequence
from typing import Any

from emotion.faces import Face
from emotion.labels import EMOTIONS
from emotion.results import ComparedArtifact, Comparison, FacePrediction, ImageFaces, Prediction


def face_answer(answer: FacePrediction, image: ImageFaces) -> dict[str, Any]:
    """One face: box (pixels, clipped to the image), score, emotion, confidence, probabilities."""
    return {
        "box": _box(answer.face, image),
        "score": answer.face.score if answer.face else None,
        **_emotion(answer),
    }


def predict_answer(prediction: Prediction, more: Mapping[str, float]) -> dict[str, Any]:
    """What one artifact says about an image, as ``POST /predict`` does.

    ``more`` are milliseconds of what the library does not time itself, such as the total.
    """
    artifact, image = prediction.artifact, prediction.image
    return {
        "model": artifact.model,
        "precision": artifact.precision,
        "version": artifact.version,
        **_image(image),
        "faces": [face_answer(face, image) for face in prediction.faces],
        "latency_ms": rounded(prediction.milliseconds, more),
    }


def compare_answer(comparison: Comparison, more: Mapping[str, float]) -> dict[str, Any]:
    """What several artifacts say about one face, as ``POST /compare`` does; ``more`` as above."""
    image = comparison.image
    return {
        **_image(image),
        "box": _box(image.faces[0], image),
        "repeats": comparison.repeats,
        "artifacts": [_compared(artifact) for artifact in comparison.artifacts],
        "models": _models(comparison.artifacts),
        "left_out": [
            {"artifact": name, "reason": reason} for name, reason in comparison.left_out.items()
        ],
        "latency_ms": rounded(image.milliseconds, more),
    }


def _compared(compared: ComparedArtifact) -> dict[str, Any]:
    record = compared.artifact
    return {
        "model": record.model,
        "precision": record.precision,
        "version": record.version,
        **_emotion(compared.prediction),
        "latency_ms": round(compared.milliseconds, 3),
        "latency_spread_ms": [round(bound, 3) for bound in compared.spread],
        "bytes": record.bytes,
        "accuracy": record.metrics.accuracy,
        "agrees_with_float32": compared.agrees_with_float32,
        "largest_difference": compared.largest_difference,
    }


def _models(artifacts: Sequence[ComparedArtifact]) -> dict[str, dict[str, float]]:
    """How far each model's smaller precisions are from its float32, where that was compared."""
    others: dict[str, list[ComparedArtifact]] = {}
    for compared in artifacts:
        record = compared.artifact
        if record.precision != "float32" and compared.largest_difference is not None:
            others.setdefault(record.model, []).append(compared)
    return {
        model: {
            "agreement": sum(bool(a.agrees_with_float32) for a in group) / len(group),
            "largest_difference": max(a.largest_difference or 0.0 for a in group),
        }
        for model, group in others.items()
    }


def _emotion(answer: FacePrediction) -> dict[str, Any]:
    return {
        "emotion": answer.emotion,
        "confidence": answer.confidence,
        "probabilities": dict(zip(EMOTIONS, answer.probabilities.tolist(), strict=True)),
    }


def _image(image: ImageFaces) -> dict[str, Any]:
    return {
        "image": {"width": image.width, "height": image.height},
        "detector": image.detector,
    }


def _box(face: Face | None, image: ImageFaces) -> dict[str, int] | None:
    return vars(face.box.clipped(image.width, image.height)) if face else None


def rounded(*milliseconds: Mapping[str, float]) -> dict[str, float]:
    """Join stages' milliseconds, to the microsecond."""
    return {stage: round(value, 3) for part in milliseconds for stage, value in part.items()}
