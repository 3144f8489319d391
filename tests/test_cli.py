import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emotion import EMOTIONS, Classifier
from tests.conftest import ROOT

EMOTION = Path(sys.executable).with_name("emotion")
PHOTO = ROOT / "examples" / "astronaut.jpg"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EMOTION, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=os.environ | environment,
    )


def test_predict_as_json_is_the_librarys_answer(classifier: Classifier) -> None:
    done = run("predict", PHOTO, "--model", "mobilenet", "--precision", "float16", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    expected = classifier.predict(PHOTO, "mobilenet", "float16").faces[0]
    assert answer["faces"][0]["probabilities"] == dict(
        zip(EMOTIONS, expected.probabilities.tolist(), strict=True)
    )
    assert answer["image"] == {"width": 512, "height": 512}
    assert set(answer["latency_ms"]) == {"decode", "detect", "preprocess", "inference"}


def test_predict_as_a_table() -> None:
    done = run("predict", PHOTO)
    assert done.returncode == 0, done.stderr
    assert all(emotion in done.stdout for emotion in EMOTIONS)


def test_models(classifier: Classifier) -> None:
    listed = json.loads(run("models", "--json").stdout)
    assert [r["version"] for r in listed] == [r.version for r in classifier.store.records]
    table = run("models").stdout
    assert all(r.version in table for r in classifier.store.records)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (("predict", ROOT / "README.md"), {}, "not an image of a served format"),
        (("predict", PHOTO, "--model", "alexnet"), {}, "no artifact alexnet/int8"),
        (("predict", PHOTO), {"EMOTION_STORE": "/nowhere"}, "No model store"),
        (("models", "--store", "/nowhere"), {}, "No model store"),
        (
            ("predict", PHOTO, "--detector", "caffe", "--detector-dir", "/nowhere"),
            {},
            "No such file",
        ),
    ],
)
def test_errors_are_one_sentence_and_a_status(
    arguments: tuple[object, ...], environment: dict[str, str], message: str
) -> None:
    done = run(*arguments, **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_missing_picture_is_a_usage_error() -> None:
    assert run("predict", "nowhere.jpg").returncode == 2
