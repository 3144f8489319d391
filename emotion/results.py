"""What the library answers."""

from dataclasses import dataclass, field

from emotion.arrays import Pixels, Probabilities
from emotion.faces import Face
from emotion.labels import EMOTIONS
from emotion.records import ArtifactRecord


@dataclass(frozen=True)
class FacePrediction:
    """One face and what it shows. ``face`` is None where the whole image was taken as the face."""

    face: Face | None
    probabilities: Probabilities  # float32 [7], in the order of EMOTIONS

    @property
    def emotion(self) -> str:
        """The most probable emotion."""
        return EMOTIONS[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """The probability of that emotion, 0..1."""
        return float(self.probabilities.max())


@dataclass(frozen=True)
class ImageFaces:
    """A decoded image's size, its faces ready for any backbone, and the time both took."""

    width: int
    height: int
    faces: tuple[Face | None, ...]
    crops: tuple[Pixels, ...]  # per face uint8 [128, 128], grey, as photographed
    pixels: tuple[Pixels, ...]  # the same, equalised
    detector: str | None  # the one that ran
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """What one artifact says about an image; ``milliseconds`` per stage."""

    artifact: ArtifactRecord
    image: ImageFaces
    faces: tuple[FacePrediction, ...]
    milliseconds: dict[str, float]

    @property
    def emotion(self) -> str:
        """The first (largest) face's emotion."""
        return self.faces[0].emotion

    @property
    def confidence(self) -> float:
        """Its probability, 0..1."""
        return self.faces[0].confidence


@dataclass(frozen=True)
class ComparedArtifact:
    """One artifact's answer for one face, ``repeats`` times over."""

    artifact: ArtifactRecord
    prediction: FacePrediction
    milliseconds: float  # median over the repeats
    spread: tuple[float, float]  # of the milliseconds: their 10th and 90th percentile
    agrees_with_float32: bool | None  # None where the model has no float32 in the comparison
    largest_difference: float | None  # of any probability, to float32


@dataclass(frozen=True)
class Comparison:
    """What several artifacts say about one face."""

    image: ImageFaces
    artifacts: tuple[ComparedArtifact, ...]
    repeats: int  # calls of each artifact that were made
    left_out: dict[str, str] = field(default_factory=dict)  # by name, why it cannot run
