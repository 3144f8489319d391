"""The compiled detector against the Caffe original: real networks, real photos."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import httpx
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emotion import Classifier
from emotion.anchors import anchors, decode
from emotion.assets import find_detector_files
from emotion.classifier import CHECKOUT_STORE
from emotion.compiled import CompiledDetector, squeezed
from emotion.decode import decode as decode_image
from emotion.detectors import Detectors
from emotion.errors import ArtifactUnavailableError, UnknownArtifactError
from emotion.faces import CaffeDetector, Detector, Face
from emotion.geometry import Box
from emotion.interpreter import Interpreter
from emotion.nms import intersection_over_union, suppress
from emotion.records import PRECISIONS, Agreement, DetectorRecord, Precision
from emotion.store import ModelStore, publish
from tests.command import PHOTO, run
from tests.conftest import StartServer
from training.detector.agreement import compare
from training.detector.convert import convert
from training.detector.publish import (
    DetectorEvaluation,
    DetectorGateError,
    check_gate,
    detector_card,
    detector_record,
)
from training.detector.scenes import Scene, Scenes
from training.detector.timing import latencies

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def contents(ckplus: Path) -> dict[Precision, bytes]:
    """All three artifacts, int8 calibrated on few pictures."""
    scenes = islice(Scenes(ckplus, calibration=True).calibrate(), 40)
    return convert(find_detector_files(), np.stack([squeezed(scene) for scene in scenes]))


@pytest.fixture(scope="module")
def compiled(contents: dict[Precision, bytes]) -> dict[Precision, Detector]:
    return {
        precision: CompiledDetector(precision, partial(Interpreter, content), interpreters=2)
        for precision, content in contents.items()
    }


@pytest.fixture(scope="module")
def evaluation(
    compiled: dict[Precision, Detector], detector: CaffeDetector, ckplus: Path
) -> DetectorEvaluation:
    scenes = list(Scenes(ckplus, calibration=False).judge())[::12]
    photo = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
    times = latencies({**compiled, "caffe": detector}, photo, calls=5)
    return DetectorEvaluation(
        source_sha256="0" * 64,
        git_commit="test",
        agreement=compare(compiled, detector, scenes, None),
        latency={p: times[p] for p in compiled},
        caffe_latency=times["caffe"],
    )


@pytest.fixture
def store(
    contents: dict[Precision, bytes],
    evaluation: DetectorEvaluation,
    small_store: Path,
    tmp_path: Path,
) -> Path:
    """Shipped classifiers with the detectors made here."""
    source = ModelStore(small_store)
    items = [(p, detector_record(p, contents[p], evaluation)) for p in PRECISIONS]
    records = [record for _, record in items]
    publish(
        tmp_path,
        [(record, source.read(record)) for record in source.records],
        {"detector": detector_card(records, evaluation)},
        [(record, contents[p]) for p, record in items],
    )
    return tmp_path


def test_float_boxes_are_caffes(evaluation: DetectorEvaluation) -> None:
    for precision, least in (("float32", 0.9999), ("float16", 0.998)):
        agreement = evaluation.agreement[precision]["all"]
        assert agreement.images > 100
        assert agreement.faces > 100
        assert (agreement.lost, agreement.added) == (0, 0)
        assert agreement.mean_iou > least


def test_int8_boxes_are_nearly_caffes(evaluation: DetectorEvaluation) -> None:
    agreement = evaluation.agreement["int8"]["all"]
    assert agreement.lost_share < 0.03
    assert agreement.mean_iou > 0.97


def test_a_search_takes_a_second_core_where_one_is_free(
    contents: dict[Precision, bytes], compiled: dict[Precision, Detector]
) -> None:
    threads: list[int] = []

    class Watched(Interpreter):
        def __init__(self, model: bytes, count: int) -> None:
            super().__init__(model, count)
            self._count = count

        def run(self, tensors: np.ndarray, check: Callable[[], object] | None = None) -> np.ndarray:
            threads.append(self._count)
            if beside and self._count > 1:
                detector.detect(image)
            return super().run(tensors, check)

    beside = False
    free = False
    detector = CompiledDetector(
        "int8", partial(Watched, contents["int8"]), has_free_core=lambda: free
    )
    image = decode_image(PHOTO.read_bytes())
    alone = detector.detect(image)
    free = True
    assert detector.detect(image) == alone == compiled["int8"].detect(image)
    assert threads == [1, 2]
    beside = True  # another search begins while the helped one computes
    assert detector.detect(image) == alone
    assert threads == [1, 2, 2, 1]


class Said:
    """A detector that always answers the same."""

    name = "said"

    def __init__(self, *scores: float) -> None:
        self._faces = [Face(Box(100 * i, 0, 50, 50), score) for i, score in enumerate(scores)]

    def detect(self, image: np.ndarray) -> list[Face]:
        return self._faces


@pytest.mark.parametrize(
    ("ours", "caffes", "lost", "added", "false_boxes"),
    [
        ((0.501,), (0.499,), 0, 0, (1, 1)),
        ((0.499,), (0.501,), 1, 0, (1, 1)),
        ((0.499,), (0.499,), 0, 0, (0, 0)),
        ((0.6,), (), 0, 1, (1, 0)),
        ((), (0.6,), 1, 0, (0, 1)),
        ((0.9, 0.501), (0.9, 0.499), 0, 0, (2, 2)),
    ],
)
def test_a_tie_is_nobodys_false_box(
    ours: tuple[float, ...],
    caffes: tuple[float, ...],
    lost: int,
    added: int,
    false_boxes: tuple[int, int],
) -> None:
    scene = Scene("no face", np.zeros((60, 300, 3), np.uint8), ())
    found = compare({"ours": Said(*ours)}, Said(*caffes), [scene], None)["ours"]["all"]
    assert (found.lost, found.added) == (lost, added)
    assert (found.false_boxes, found.caffe_false_boxes) == false_boxes


@pytest.mark.parametrize("precision", PRECISIONS)
def test_photos(
    compiled: dict[Precision, Detector],
    detector: CaffeDetector,
    precision: Precision,
    photo: bytes,
    collage: bytes,
    no_face_photo: bytes,
) -> None:
    for data, faces in ((photo, 1), (collage, 3), (no_face_photo, 0)):
        image = decode_image(data)
        ours, theirs = compiled[precision].detect(image), detector.detect(image)
        assert len(ours) == len(theirs) == faces
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.score == pytest.approx(other.score, abs=0.03)
            values = [list(vars(face.box).values()) for face in (mine, other)]
            assert np.allclose(*values, atol=5)


def test_threads_share_it(
    compiled: dict[Precision, Detector], photo: bytes, collage: bytes
) -> None:
    pictures = [decode_image(photo), decode_image(collage)] * 8
    alone = [compiled["int8"].detect(picture) for picture in pictures[:2]] * 8
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(compiled["int8"].detect, pictures)) == alone


def test_on_ckplus(
    compiled: dict[Precision, Detector], detector: CaffeDetector, data_dir: Path
) -> None:
    scenes = list(Scenes(data_dir / "ckplus.zip", calibration=False).judge())[::10]
    found = compare(compiled, detector, scenes, None)
    assert found["float32"]["all"].lost == found["float32"]["all"].added == 0
    assert found["int8"]["all"].lost_share < 0.02
    assert found["int8"]["all"].mean_iou > 0.97


def test_anchors_are_the_networks() -> None:
    priors = anchors()
    assert priors.shape == (8892, 4)
    assert np.allclose(priors[0] * 300, (4, 4, 30, 30))
    edges = decode(np.zeros((8892, 4), np.float32), priors)
    assert np.allclose((edges[:, :2] + edges[:, 2:]) / 2, priors[:, :2], atol=1e-6)


coordinates = st.floats(0, 1, width=32)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(0, 30))
    corners = draw(arrays.arrays(np.float32, (count, 2, 2), elements=coordinates))
    scores = draw(arrays.arrays(np.float32, count, elements=coordinates))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1), scores


@given(boxes(), st.floats(0.1, 0.9))
def test_suppression(drawn: tuple[np.ndarray, np.ndarray], max_iou: float) -> None:
    edges, scores = drawn
    chosen = suppress(edges, scores, max_iou, 400)
    assert list(scores[chosen]) == sorted(scores[chosen], reverse=True)
    for place, row in enumerate(chosen):
        assert (intersection_over_union(edges[row], edges[chosen[:place]]) <= max_iou).all()
    for row in set(range(len(scores))) - set(chosen):
        better = [c for c in chosen if scores[c] >= scores[row]]
        assert (intersection_over_union(edges[row], edges[better]) > max_iou).any()


@given(boxes())
def test_overlap_is_a_share_and_symmetric(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    edges, _ = drawn
    rows = [intersection_over_union(box, edges) for box in edges]
    table = np.array(rows).reshape(len(edges), len(edges))
    assert ((table >= 0) & (table <= 1 + 1e-5)).all()
    assert np.allclose(table, table.T)


def test_suppression_looks_at_the_best_only() -> None:
    edges = np.array([[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]], np.float32)
    assert suppress(edges, np.array([1, 3, 2], np.float32), 0.45, 2) == [1, 2]


def test_a_store_brings_its_detector(store: Path, photo: bytes) -> None:
    fastest = ModelStore(store).detectors[0]
    classifier = Classifier(store)
    assert classifier.detector.name == fastest.name
    assert classifier.predict(photo).image.detector == fastest.name
    assert classifier.predict(photo, detector="caffe").image.detector == "res10-ssd-caffe"
    assert classifier.compare(photo, detector="caffe").image.detector == "res10-ssd-caffe"
    assert classifier.predict(photo, faces="whole").image.detector is None
    assert Classifier(store, detector="caffe").detector.name == "res10-ssd-caffe"
    assert f"`{fastest.version}`" in ModelStore(store).card("detector")


def test_republishing_keeps_the_other_kind(store: Path) -> None:
    before = ModelStore(store)
    record = before.detectors[0]
    publish(store, [], {}, [(record, before.read_detector(record))])
    publish(store, [(r, before.read(r)) for r in before.records[:1]], {})
    assert ModelStore(store).records == before.records
    assert ModelStore(store).detectors == before.detectors


def test_caffes_files_are_only_looked_for_when_needed(store: Path, photo: bytes) -> None:
    def find() -> Iterator[None]:
        raise AssertionError("looked for")

    classifier = Classifier(store, detector_files=find)
    assert classifier.predict(photo).faces
    with pytest.raises(AssertionError, match="looked for"):
        classifier.predict(photo, detector="caffe")


def test_a_store_without_detectors_falls_back(detector: CaffeDetector) -> None:
    source = ModelStore(CHECKOUT_STORE)
    bare = ModelStore(CHECKOUT_STORE)
    bare.manifest = source.manifest.model_copy(update={"detectors": ()})
    detectors = Detectors(bare)
    assert detectors.get().name == detector.name
    with pytest.raises(UnknownArtifactError, match=r"detector=caffe.*training detector"):
        detectors.get("compiled")


def test_damaged_detectors_are_passed_over_and_told(store: Path) -> None:
    records = ModelStore(store).detectors
    (store / records[0].file).write_bytes(b"damaged")
    detectors = Detectors(ModelStore(store))
    assert detectors.get().name == records[1].name
    assert "is damaged" in detectors.unavailable[f"detector/{records[0].precision}"]
    for record in records:
        (store / record.file).unlink(missing_ok=True)
    gone = Detectors(ModelStore(store))
    assert gone.get().name == "res10-ssd-caffe"
    with pytest.raises(ArtifactUnavailableError, match="No such file"):
        gone.get("compiled")


def test_the_service_takes_either(start_server: StartServer, store: Path, photo: bytes) -> None:
    fastest = ModelStore(store).detectors[0].name
    with start_server(store=store) as server:
        assert httpx.get(f"{server.url}/readyz").json()["detector"] == fastest
        for path in ("predict", "compare"):
            for query, name in (
                ("", fastest),
                ("?detector=compiled", fastest),
                ("?detector=caffe", "res10-ssd-caffe"),
            ):
                answer = httpx.post(f"{server.url}/{path}{query}", content=photo).json()
                assert answer["detector"] == name
        problem = httpx.post(f"{server.url}/predict?detector=mtcnn", content=photo)
        assert problem.status_code == 422
        assert "'compiled' or 'caffe'" in problem.json()["detail"]
    with start_server(store=store, detector="caffe") as server:
        assert httpx.get(f"{server.url}/readyz").json()["detector"] == "res10-ssd-caffe"
        answer = httpx.post(f"{server.url}/predict?detector=compiled", content=photo).json()
        assert answer["detector"] == fastest


def test_the_service_without_a_usable_detector(
    start_server: StartServer, store: Path, photo: bytes
) -> None:
    for record in ModelStore(store).detectors:
        (store / record.file).unlink()
    with start_server(store=store) as server:
        ready = httpx.get(f"{server.url}/readyz").json()
        assert (ready["status"], ready["detector"]) == ("degraded", "res10-ssd-caffe")
        assert set(ready["unavailable"]) == {f"detector/{p}" for p in PRECISIONS}
        answer = httpx.post(f"{server.url}/predict?detector=compiled", content=photo)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("artifact-unavailable")


def test_a_missing_caffe_network_is_told(
    start_server: StartServer, store: Path, photo: bytes, tmp_path: Path
) -> None:
    with start_server(store=store, detector_dir=tmp_path / "nowhere") as server:
        assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200
        answer = httpx.post(f"{server.url}/predict?detector=caffe", content=photo)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("detector-missing")
        assert str(tmp_path) not in answer.text
        assert f"{tmp_path}/nowhere/deploy.prototxt" in server.log.read_text()


def test_the_command_line_takes_either(store: Path) -> None:
    for name, found in (
        ("compiled", ModelStore(store).detectors[0].name),
        ("caffe", "res10-ssd-caffe"),
    ):
        done = run("predict", PHOTO, "--store", store, "--detector", name, "--json")
        assert json.loads(done.stdout)["detector"] == found


def test_a_record_of_other_tensors_is_refused(store: Path) -> None:
    before = ModelStore(store)
    wrong = [
        r.model_copy(update={"output": r.output.model_copy(update={"shape": (1, 10, 5)})})
        for r in before.detectors
    ]
    items: list[tuple[DetectorRecord, bytes]] = [(r, before.read_detector(r)) for r in wrong]
    publish(store, [], {}, items)
    with pytest.raises(ArtifactUnavailableError, match="not those the manifest describes"):
        Detectors(ModelStore(store)).get("compiled")


GOOD = Agreement(
    images=1000,
    faces=1000,
    lost=5,
    added=3,
    mean_iou=0.95,
    false_boxes=7,
    caffe_false_boxes=7,
    same_emotion=0.99,
    classifier="m",
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"images": 999}, "only 999 pictures"),
        ({"lost": 6}, r"loses 0\.60%"),
        ({"mean_iou": 0.949}, r"IoU is 0\.949"),
        ({"false_boxes": 8}, "8 false boxes, Caffe 7"),
        ({"same_emotion": 0.98}, r"98\.00% of the faces keep their emotion"),
    ],
)
def test_the_gate(change: dict[str, object], reason: str) -> None:
    check_gate("int8", GOOD)
    check_gate("int8", GOOD.model_copy(update={"same_emotion": None}))
    with pytest.raises(DetectorGateError, match=f"detector/int8 is not published.*{reason}"):
        check_gate("int8", GOOD.model_copy(update=change))
