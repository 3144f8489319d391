"""What the page stands on: its files and headers, /explain, /reports, and picking a face."""

import base64

import cv2
import httpx
import numpy as np
import pytest

from emotion import Classifier
from emotion.decode import decode
from emotion.errors import UnknownFaceError
from emotion.explain import PATCH, explain
from emotion.preprocess import face_crop, face_tensor
from service.markdown import to_html
from tests.conftest import ROOT, StartServer
from tests.observed import problem_of

PAGE = sorted(
    path.relative_to(ROOT / "service" / "web").as_posix()
    for path in (ROOT / "service" / "web").rglob("*.*")
)


@pytest.mark.parametrize("path", ["/", *(f"/web/{name}" for name in PAGE)])
def test_the_pages_files_are_guarded_and_cached(http: httpx.Client, path: str) -> None:
    first = http.get(path)
    assert first.status_code == 200
    assert "default-src 'self'" in first.headers["content-security-policy"]
    assert "unsafe" not in first.headers["content-security-policy"]
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["cache-control"] == "no-cache"
    again = http.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert http.head(path).status_code == 200


def test_the_page_names_nothing_elsewhere_and_nothing_inline() -> None:
    for name in PAGE:
        path = ROOT / "service" / "web" / name
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text()
            assert "://" not in text, name
            assert " style=" not in text, name
            assert len(text.splitlines()) <= 200, name


UNKNOWN_REPORTS = ("/reports/nothing.md", "/reports/crossval_predictions.csv.gz")


@pytest.mark.parametrize(
    "path",
    [
        "/web/nothing.js",
        "/web/%2e%2e/app.py",
        "/web/..%2fapp.py",
        "/web/cards/nobody",
        "/web/cards/..%2fdetector",
        "/web/reports/report.json",
        "/reports/..%2fmanifest.json",
        "/reports/%2e%2e%2fmanifest.json",
        *UNKNOWN_REPORTS,
    ],
)
def test_nothing_else_is_served(http: httpx.Client, path: str) -> None:
    name = "unknown-report" if path in UNKNOWN_REPORTS else "not-found"
    problem_of(http.get(path), 404, name)


def test_reports_are_listed_and_served(http: httpx.Client, classifier: Classifier) -> None:
    listed = http.get("/reports").json()
    assert {"report.md", "report.json", "tradeoff_subject10.png"} <= {f["name"] for f in listed}
    for file in listed:
        answer = http.get(f"/reports/{file['name']}")
        assert answer.headers["content-type"].startswith(file["media_type"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.content == (classifier.store.root / "reports" / file["name"]).read_bytes()
        assert len(answer.content) == file["bytes"]
    assert "<table>" in http.get("/web/reports/report.md").text
    assert http.get("/web/cards").json() == ["mobilenet", "resnet50", "vgg16", "detector"]
    for name in http.get("/web/cards").json():
        assert "<table>" in http.get(f"/web/cards/{name}").text


def test_a_card_cannot_bring_a_script() -> None:
    html = to_html("<script>x</script> <img src=x onerror=x>\n\n[a](javascript:x) [b](https://b.c)")
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert 'href="https://b.c"' in html


def test_compare_takes_any_face(http: httpx.Client, collage: bytes) -> None:
    faces = http.post("/predict", params={"faces": "all"}, content=collage).json()["faces"]
    for index, face in enumerate(faces):
        answer = http.post("/compare", params={"face": index}, content=collage).json()
        assert answer["box"] == face["box"]
        (int8,) = (
            a for a in answer["artifacts"] if (a["model"], a["precision"]) == ("mobilenet", "int8")
        )
        assert int8["probabilities"] == face["probabilities"]


@pytest.mark.parametrize("call", ["/compare", "/explain"])
def test_a_face_that_is_not_there_is_a_problem(
    http: httpx.Client, collage: bytes, call: str
) -> None:
    response = http.post(call, params={"face": 3}, content=collage)
    assert "the picture has 3" in problem_of(response, 422, "unknown-face")["detail"]
    problem_of(http.post(call, params={"face": -1}, content=collage), 422, "invalid-parameter")
    whole = http.post(call, params={"faces": "whole", "face": 1}, content=collage)
    problem_of(whole, 422, "unknown-face")


def test_a_face_before_the_first_is_none(classifier: Classifier, collage: bytes) -> None:
    with pytest.raises(UnknownFaceError):
        classifier.compare(collage, face=-1)


def test_latency_has_a_spread(http: httpx.Client, photo: bytes) -> None:
    answer = http.post("/compare", params={"repeats": 20}, content=photo).json()
    for artifact in answer["artifacts"]:
        low, high = artifact["latency_spread_ms"]
        assert 0 < low <= artifact["latency_ms"] <= high
        assert low < high
    once = http.post("/compare", content=photo).json()["artifacts"][0]
    assert once["latency_spread_ms"] == [once["latency_ms"]] * 2


def grey_of(data_url: str) -> np.ndarray:
    kind, _, content = data_url.partition(",")
    assert kind == "data:image/png;base64"
    buffer = np.frombuffer(base64.b64decode(content), np.uint8)
    return cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)


def test_explain_shows_what_the_network_gets(
    http: httpx.Client, classifier: Classifier, collage: bytes
) -> None:
    answer = http.post("/explain", params={"face": 1}, files={"image": collage}).json()
    seen = classifier.look(collage, face=1)
    assert seen.faces[0] is not None
    crop = face_crop(decode(collage), seen.faces[0].box)
    assert np.array_equal(grey_of(answer["crop"]["before_clahe"]), crop)
    assert np.array_equal(grey_of(answer["crop"]["after_clahe"]), seen.pixels[0])
    expected = http.post("/predict", params={"faces": "all"}, content=collage).json()["faces"][1]
    assert answer["face"] == expected
    assert (answer["model"], answer["precision"]) == ("mobilenet", "int8")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_each_place_is_hidden_in_turn(
    http: httpx.Client, classifier: Classifier, photo: bytes, precision: str
) -> None:
    # MobileNet smiles with the whole face: no single place takes this picture's answer from it.
    query = {"model": "resnet50", "precision": precision, "grid": 8}
    answer = http.post("/explain", params=query, content=photo).json()
    drops = np.array(answer["occlusion"]["drops"])
    assert drops.shape == (8, 8)
    # A smile is in the mouth: below the middle, between the sides.
    row, column = np.unravel_index(drops.argmax(), drops.shape)
    assert row >= 4
    assert 2 <= column <= 5
    artifact = classifier.registry.get("resnet50", precision)
    face = classifier.look(photo).pixels[0]
    half = round(PATCH * 128 / 2)
    y, x = (round(128 * (i + 0.5) / 8) for i in (row, column))
    hidden = face.copy()
    hidden[y - half : y + half, x - half : x + half] = round(face.mean())
    tensors = np.stack([face_tensor(f, artifact.record.input_size) for f in (face, hidden)])
    before, after = artifact.run(tensors)
    assert drops[row, column] == pytest.approx(before.max() - after[before.argmax()], abs=1e-5)


def test_explain_takes_whole_pictures(classifier: Classifier, no_face_photo: bytes) -> None:
    for options in ({"faces": "whole"}, {"no_face": "whole"}):
        explained = explain(classifier, no_face_photo, grid=2, **options)
        assert explained.prediction.face is None
        assert explained.drops.shape == (2, 2)


def test_explain_refuses_as_predict_does(http: httpx.Client, no_face_photo: bytes) -> None:
    problem_of(http.post("/explain", content=no_face_photo), 422, "no-face")
    problem_of(http.post("/explain", content=b"text"), 415, "unsupported-format")
    problem_of(http.post("/explain?grid=17", content=no_face_photo), 422, "invalid-parameter")
    problem_of(http.post("/explain?model=alexnet", content=no_face_photo), 404, "unknown-artifact")


def test_explain_keeps_the_deadline(start_server: StartServer, photo: bytes) -> None:
    with start_server(deadline_seconds=0.05, preload="mobilenet/float32") as server:
        query = {"precision": "float32", "grid": 16}
        response = httpx.post(f"{server.url}/explain", params=query, content=photo, timeout=30)
        problem_of(response, 504, "deadline-passed")


def test_the_new_calls_are_documented(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/explain", "/reports", "/reports/{name}"} <= set(paths)
    assert not [path for path in paths if path == "/" or path.startswith("/web")]
    responses = paths["/explain"]["post"]["responses"]
    assert {"200", "404", "413", "415", "422", "503", "504"} <= set(responses)
    assert "unknown-face" in responses["422"]["description"]
