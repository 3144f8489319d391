"""A shadow is shown what another artifact has answered: it is measured, and nobody waits for it."""

import statistics
import time
from typing import Any

import httpx
import numpy as np
import pytest
import structlog
import tritonclient.http as httpclient

from benchmarks.server import free_port
from emotion import Classifier
from emotion.agreement import Agreement
from emotion.classifier import CHECKOUT_STORE
from emotion.preprocess import face_tensor
from service.engine import Engine
from service.metrics import Metrics
from service.settings import Settings
from service.shadow import Answered, Shadow
from tests.clients import eventually
from tests.conftest import Server, StartServer
from tests.observed import sample, scrape
from tests.test_cli import run
from tests.test_oip_clients import image_array
from tests.triton_grpc import triton

PRIMARY, SHADOW, WRONG = "mobilenet/float32", "mobilenet/int8", "vgg16/int8"
BOTH = {"preload": f"{PRIMARY},{SHADOW}", "shadow_share": 1}


def faces_of(server: Server, pictures: list[bytes], precision: str = "float32") -> list[Any]:
    """Answers to pictures that are faces, each sent when the one before has been compared."""
    answers = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for number, picture in enumerate(pictures, start=1):
            url = f"/predict?faces=whole&precision={precision}"
            answers.append(client.post(url, content=picture).raise_for_status().json()["faces"])
            if client.get("/shadow").json()["shadow"]:
                eventually(lambda n=number: client.get("/shadow").json()["compared"] == n)
    return answers


def shadow(server: Server) -> Any:
    return httpx.get(f"{server.url}/shadow").raise_for_status().json()


def emotions(classifier: Classifier, artifact: str, pictures: list[bytes]) -> list[str]:
    model, precision = artifact.split("/")
    return [classifier.predict(p, model, precision, faces="whole").emotion for p in pictures]


def test_int8_is_measured_beside_float32_and_changes_no_answer(
    start_server: StartServer, crops: list[bytes], classifier: Classifier
) -> None:
    pictures = crops[:12]
    with start_server(preload=PRIMARY) as server:
        alone = faces_of(server, pictures)
        off = shadow(server)
        assert (off["verdict"], off["compared"], off["shadow"]) == ("off", 0, None)
    with start_server(shadow=SHADOW, shadow_agreement=0.2, **BOTH) as server:
        assert faces_of(server, pictures) == alone
        found = shadow(server)
        httpx.post(f"{server.url}/predict?precision=int8", content=pictures[0])  # not the primary's
        time.sleep(0.2)
        assert shadow(server) == found
        series = scrape(server.url)
        log = server.log.read_text()
    one, other = emotions(classifier, PRIMARY, pictures), emotions(classifier, SHADOW, pictures)
    agreed = sum(a == b for a, b in zip(one, other, strict=True))
    assert (found["compared"], found["agreed"]) == (12, agreed)
    assert found["primary"] == f"{PRIMARY}@{version(classifier, PRIMARY)}"
    assert found["shadow"] == f"{SHADOW}@{version(classifier, SHADOW)}"
    assert found["verdict"] == "enough"
    assert found["summary"].endswith("at least 20.0%, enough to put it in its place.")
    assert found["agreement_low"] < found["agreement"] == agreed / 12 <= found["agreement_high"]
    assert found["mean_difference"] == pytest.approx(differences(classifier, pictures), abs=1e-6)
    told = {
        (labels["emotion"], labels["shadow_emotion"]): value
        for (name, pairs), value in series.items()
        if name == "emotion_shadow_faces_total" and (labels := dict(pairs))
    }
    assert told == {pair: [*zip(one, other, strict=True)].count(pair) for pair in told}
    assert sum(told.values()) == 12
    assert "probabilities" not in log


def test_answers_of_the_inference_protocol_are_compared_too(
    start_server: StartServer, crops: list[bytes], classifier: Classifier
) -> None:
    """Pictures and ready tensors, over HTTP and gRPC: each of a batch counts."""
    port = free_port()
    pictures = crops[:3]
    images = image_array(*pictures, binary=True)
    record = classifier.store.record(*PRIMARY.split("/"))
    looks = [classifier.look(p, faces="whole").pixels[0] for p in pictures]
    pixels = np.stack([face_tensor(look, record.input_size) for look in looks])
    over_http, over_grpc = httpclient.InferenceServerClient, triton.InferenceServerClient
    with start_server(shadow=SHADOW, grpc_port=port, **BOTH) as server:
        for number, (connect, address, kind, array) in enumerate(
            (connect, address, kind, array)
            for connect, address, kind in (
                (over_http, server.url.removeprefix("http://"), httpclient.InferInput),
                (over_grpc, f"127.0.0.1:{port}", triton.InferInput),
            )
            for array in (images, pixels)
        ):
            name, datatype = ("image", "BYTES") if array is images else ("pixels", "UINT8")
            given = kind(name, list(array.shape), datatype).set_data_from_numpy(array)
            with connect(address) as client:
                for precision in ("float32", "int8"):  # the second is not the primary's
                    client.infer(
                        "mobilenet",
                        [given],
                        model_version=precision,
                        parameters={"faces": "whole"} if array is images else None,
                    )
            eventually(lambda n=number: shadow(server)["compared"] == 3 * (n + 1))
        time.sleep(0.2)
        found = shadow(server)
    assert found["compared"] == 12
    assert found["mean_difference"] == pytest.approx(differences(classifier, pictures), abs=1e-6)
    assert found["dropped"] == {"busy": 0, "failed": 0}


def test_whatever_fails_in_a_comparison_is_counted_and_logged_without_the_picture(
    classifier: Classifier, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    engine = Engine(threads=1, max_waiting=0, deadline_seconds=1)
    settings = Settings(shadow=SHADOW, shadow_of=PRIMARY, shadow_share=1)
    watched = Shadow.of(settings, classifier.store, engine, metrics.shadow)
    assert watched

    def fail(face: object, _: int) -> None:
        raise ValueError(face)

    monkeypatch.setattr("service.shadow.face_tensor", fail)
    answers = [Answered.of(classifier.predict(photo, *PRIMARY.split("/")))] * 2
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            watched.offer(answers, classifier.store)
            eventually(lambda: not watched._comparing.locked())
    watched.close()
    engine.close()
    dropped = metrics.samples("emotion_shadow_dropped_total")
    assert {labels["reason"]: n for _, labels, n in dropped} == {"busy": 0, "failed": 4}
    (line,) = logs
    assert (line["event"], line["reason"]) == ("shadow failed", "ValueError")
    assert "face_tensor" in line["where"]
    assert "array" not in str(line)
    assert str(answers[0].faces[0]) not in str(line)


def version(classifier: Classifier, artifact: str) -> str:
    return classifier.store.record(*artifact.split("/")).version


def differences(classifier: Classifier, pictures: list[bytes]) -> float:
    both = [classifier.registry.get(*name.split("/")) for name in (PRIMARY, SHADOW)]
    means = []
    for picture in pictures:
        (pixels,) = classifier.look(picture, faces="whole").pixels
        one, other = (a.run(face_tensor(pixels, a.record.input_size)[None]) for a in both)
        means.append(float(abs(one - other).mean()))
    return statistics.fmean(means)


def test_one_that_answers_otherwise_is_not_recommended(
    start_server: StartServer, crops: list[bytes]
) -> None:
    settings = {"preload": f"{PRIMARY},{WRONG}", "shadow_share": 1, "workers": 2}
    with start_server(shadow=WRONG, shadow_of=PRIMARY, **settings) as server:
        faces_of(server, crops[:16])
        found = shadow(server)
    assert found["verdict"] == "too little"
    assert found["agreement_high"] < 0.95
    assert "less than 95.0%, do not put it in its place" in found["summary"]
    assert sum(pair["faces"] for pair in found["disagreements"]) == 16 - found["agreed"]
    counts = [pair["faces"] for pair in found["disagreements"]]
    assert counts == sorted(counts, reverse=True)


def test_nobody_waits_for_a_slow_shadow_and_what_is_too_much_is_dropped(
    start_server: StartServer, crops: list[bytes]
) -> None:
    """ResNet50's float32 takes many times as long as the request that it follows."""
    whole = {"store": CHECKOUT_STORE, "preload": SHADOW}
    slow = {"shadow": "resnet50/float32", "shadow_of": SHADOW, "shadow_share": 1}

    def median(server: Server) -> float:
        times = []
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for crop in crops[:30]:
                answer = client.post("/predict?faces=whole", content=crop)
                times.append(answer.elapsed.total_seconds())
        return statistics.median(times)

    with start_server(**whole) as plain, start_server(**whole, **slow) as server:
        eventually(lambda: faces_of(server, crops[:1], "int8"))  # it is loaded
        before = shadow(server)["compared"]
        times = [(median(plain), median(server)) for _ in range(2)]
        dropped = sample(server.url, "emotion_shadow_dropped_total", reason="busy")
        compared = shadow(server)["compared"] - before
    assert min(with_it / alone for alone, with_it in times) < 2
    assert dropped > 0
    assert 0 < compared <= 60 - dropped


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"EMOTION_SHADOW": "alexnet/int8"}, "There is no artifact alexnet/float32"),
        ({"EMOTION_SHADOW": PRIMARY}, "compared with itself"),
        ({"EMOTION_SHADOW": "mobilenet"}, "EMOTION_SHADOW"),
    ],
)
def test_a_shadow_that_cannot_be_is_said_at_the_start(settings: dict[str, str], said: str) -> None:
    done = run("serve", "--port", "0", **settings)
    assert done.returncode in (1, 2)
    assert said in done.stderr


def test_a_share_is_a_share() -> None:
    assert Settings(shadow=SHADOW).shadow == SHADOW
    with pytest.raises(ValueError, match="shadow_share"):
        Settings(shadow_share=1.5)


def test_the_verdict_needs_enough_faces() -> None:
    few = Agreement(20, 20, 0.95)
    assert few.verdict == "undecided"
    lacking = few.faces_lacking
    assert lacking
    assert Agreement(20 + lacking, 20 + lacking, 0.95).verdict == "enough"
    assert f"about {lacking} more" in few.sentence("b", "a")
    assert Agreement(100, 90, 0.95).faces_lacking is None
    assert Agreement(100, 80, 0.95).verdict == "too little"
    assert Agreement(0, 0, 0.95).verdict == "undecided"
    assert "not been compared" in Agreement(0, 0, 0.95).sentence("b", "a")
