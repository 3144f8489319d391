import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion import EMOTIONS, Classifier, EmotionError
from emotion.errors import NoFaceError, UnknownArtifactError, UnreadableFileError
from tests.conftest import ROOT


def test_three_lines_are_enough() -> None:
    from emotion import Classifier

    classifier = Classifier()
    assert classifier.predict(ROOT / "examples" / "astronaut.jpg").emotion == "happy"


def test_every_artifact_sees_the_smile(classifier: Classifier, photo: bytes) -> None:
    for record in classifier.store.records:
        prediction = classifier.predict(photo, record.model, record.precision)
        (face,) = prediction.faces
        assert face.emotion == "happy"
        assert face.probabilities.shape == (len(EMOTIONS),)
        assert face.probabilities.sum() == pytest.approx(1, abs=0.02)
        assert face.confidence == face.probabilities.max()
        assert prediction.artifact == record


def test_a_path_and_its_bytes_answer_alike(
    classifier: Classifier, photo: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo)
    answers = [classifier.predict(source).faces[0] for source in (photo, path, str(path))]
    assert all(np.array_equal(a.probabilities, answers[0].probabilities) for a in answers)


def test_all_faces_of_a_collage(classifier: Classifier, collage: bytes) -> None:
    prediction = classifier.predict(collage, faces="all")
    assert len(prediction.faces) == 3
    assert {face.emotion for face in prediction.faces} == {"happy"}
    assert len(classifier.predict(collage).faces) == 1


def test_no_face_is_an_error_or_the_whole_picture(
    classifier: Classifier, no_face_photo: bytes
) -> None:
    with pytest.raises(NoFaceError, match="set faces to whole"):
        classifier.predict(no_face_photo)
    prediction = classifier.predict(no_face_photo, no_face="whole")
    assert prediction.faces[0].face is None
    whole = classifier.predict(no_face_photo, faces="whole")
    assert np.array_equal(prediction.faces[0].probabilities, whole.faces[0].probabilities)


def test_stages_add_up(classifier: Classifier, photo: bytes) -> None:
    stages = classifier.predict(photo).milliseconds
    assert set(stages) == {"decode", "detect", "preprocess", "inference"}
    assert all(value > 0 for value in stages.values())


def test_compare_answers_as_predict_does(classifier: Classifier, photo: bytes) -> None:
    comparison = classifier.compare(photo, repeats=3)
    assert len(comparison.artifacts) == len(classifier.store.records)
    pairs = {(r.model, r.precision) for r in classifier.store.records}
    for compared in comparison.artifacts:
        record = compared.artifact
        alone = classifier.predict(photo, record.model, record.precision).faces[0]
        assert np.array_equal(alone.probabilities, compared.prediction.probabilities)
        assert compared.milliseconds > 0
        if (record.model, "float32") not in pairs:
            assert (compared.agrees_with_float32, compared.largest_difference) == (None, None)
        elif record.precision == "float32":
            assert (compared.agrees_with_float32, compared.largest_difference) == (True, 0)
        else:
            assert compared.largest_difference < 0.2


def test_compare_ends_where_its_check_says_so(classifier: Classifier, photo: bytes) -> None:
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        classifier.compare(photo, repeats=50, check=check)
    assert checks == 3
    late = classifier.compare(photo, repeats=50, until=time.perf_counter())
    assert late.repeats == 1
    assert classifier.compare(photo, "mobilenet", "int8", repeats=5).repeats == 5


def test_compare_takes_a_precision_from_the_models_that_have_it(
    classifier: Classifier, photo: bytes
) -> None:
    halves = {r.name for r in classifier.store.records if r.precision == "float16"}
    compared = classifier.compare(photo, precisions=["float16"]).artifacts
    assert {c.artifact.name for c in compared} == halves
    with pytest.raises(UnknownArtifactError, match="int4"):
        classifier.compare(photo, precisions=["int8", "int4"])


def test_compare_without_float32_has_no_reference(classifier: Classifier, photo: bytes) -> None:
    (compared,) = classifier.compare(photo, ["mobilenet"], ["int8"]).artifacts
    assert compared.agrees_with_float32 is None
    assert compared.largest_difference is None


def test_compare_refuses_unknown_names(classifier: Classifier, photo: bytes) -> None:
    with pytest.raises(UnknownArtifactError, match="mobilenet/int4"):
        classifier.compare(photo, ["mobilenet"], ["int8", "int4"])
    with pytest.raises(UnknownArtifactError, match="alexnet"):
        classifier.compare(photo, ["alexnet"])


def test_threads_get_the_sequential_answers(
    classifier: Classifier, photo: bytes, collage: bytes
) -> None:
    records = classifier.store.records
    jobs = [(image, r.model, r.precision) for image in (photo, collage) for r in records] * 4
    alone = [classifier.predict(*job).faces[0].probabilities for job in jobs]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda job: classifier.predict(*job), jobs))
    for expected, prediction in zip(alone, together, strict=True):
        assert np.array_equal(prediction.faces[0].probabilities, expected)


def test_plain_strings_name_a_store_and_a_model(photo: bytes) -> None:
    compared = Classifier("model_store").compare(photo, "mobilenet", "int8").artifacts
    assert [c.artifact.name for c in compared] == ["mobilenet/int8"]


@pytest.mark.parametrize(
    "wrong",
    [{"faces": "three"}, {"no_face": "x"}, {"detector": "x"}, {"repeats": 0}],
    ids=str,
)
def test_a_wrong_choice_is_named(classifier: Classifier, photo: bytes, wrong: Any) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name} is"):
        classifier.compare(photo, **wrong)
    if name != "repeats":
        with pytest.raises(ValueError, match=f"^{name} is"):
            classifier.predict(photo, **wrong)


def test_what_is_no_picture_file_is_told(
    classifier: Classifier, photo: bytes, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableFileError, match="No such file"):
        classifier.predict("nowhere.jpg")
    with pytest.raises(UnreadableFileError, match="Is a directory"):
        classifier.predict(tmp_path)
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(5_000_000_000)
    with pytest.raises(EmotionError, match="5,000,000,000 bytes"):
        classifier.predict(tmp_path / "huge.jpg")
    for image in (np.zeros((9, 9, 3), np.uint8), io.BytesIO(photo)):
        with pytest.raises(TypeError, match="path of a JPEG"):
            classifier.predict(image)  # type: ignore[arg-type]
