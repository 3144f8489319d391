"""The service on Ray Serve, on a real cluster of three nodes."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.schema import ServeDeploySchema
from ruamel.yaml import YAML

from benchmarks.stores import publish_retrained
from cluster.serve import Options, build
from cluster.stages import ARTIFACTS_PER_REPLICA, model_id
from emotion import Classifier
from tests.clients import eventually, traffic
from tests.cluster.nodes import deploy, replicas, start_proxy
from tests.conftest import ROOT, Server

pytestmark = [
    pytest.mark.timeout(600),
    # Ray's own: sockets and log files that it leaves to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
]
CONFIG = YAML(typ="safe").load(ROOT / "deploy" / "ray" / "serve.yaml")
NAMES = ("emotion", "Emotion")
PREDICT = {"url": "/predict", "headers": {"content-type": "image/jpeg"}}


@dataclass
class Deployed:
    """The service on the cluster."""

    url: str
    cluster: Cluster
    config: dict[str, Any]

    @property
    def deployment(self) -> dict[str, Any]:
        """What the config says of it; to change and ``deploy`` again."""
        chosen: dict[str, Any] = self.config["applications"][0]["deployments"][0]
        return chosen


@pytest.fixture(scope="module")
def deployed(nodes: Cluster) -> Deployed:
    """What deploy/ray/serve.yaml says, but for the address and the patience."""
    config = {"applications": CONFIG["applications"]}
    mine = Deployed(start_proxy(), nodes, config)
    mine.deployment["autoscaling_config"] |= {
        "max_replicas": 3,
        "upscale_delay_s": 1,
        "downscale_delay_s": 1,
        "look_back_period_s": 2,
        "metrics_interval_s": 0.5,
    }
    deploy(config)
    return mine


def test_ray_accepts_the_configuration() -> None:
    schema = ServeDeploySchema.model_validate(CONFIG)
    (application,) = schema.applications
    assert application.import_path == f"{build.__module__}:{build.__name__}"
    built = build(Options.model_validate(application.args))
    assert {d.name for d in application.deployments} == {built._bound_deployment.name}
    with pytest.raises(ValueError, match="layuot"):
        Options.model_validate({"layuot": "staged"})


def same(answer: httpx.Response) -> tuple[object, ...]:
    """What must not depend on where it was answered, nor on when."""
    changing = ("content-length", "date", "retry-after", "server", "x-request-id")
    headers = {k: v for k, v in answer.headers.multi_items() if k not in changing}
    body: object = answer.text.replace(answer.request.url.netloc.decode(), "host")
    if "json" in answer.headers["content-type"]:
        body = answer.json()
        if isinstance(body, dict):
            body = {k: v for k, v in body.items() if k not in ("request_id", "latency_ms")}
    return answer.status_code, headers, body


def test_every_answer_is_that_of_the_service(
    deployed: Deployed, server: Server, photo: bytes, no_face_photo: bytes
) -> None:
    gets = ("/", "/livez", "/models", "/models/mobilenet/int8", "/docs", "/openapi.json")
    gets += ("/reports", "/v2/models/mobilenet_int8", "/nowhere", "/web/icon.svg")
    posts = (photo, no_face_photo, b"no picture", b"")
    with httpx.Client(timeout=120) as http:
        for path in gets:
            assert same(http.get(deployed.url + path)) == same(http.get(server.url + path)), path
        for query in ("", "?model=none", "?faces=whole", "?precision=bad"):
            for content in posts:
                here, there = (
                    http.post(f"{url}/predict{query}", content=content, headers=PREDICT["headers"])
                    for url in (deployed.url, server.url)
                )
                assert same(here) == same(there), (query, here.text)
                assert len(here.headers.get_list("x-request-id")) == 1


def test_a_node_is_killed_under_load(deployed: Deployed, photo: bytes) -> None:
    eventually(lambda: len(replicas(*NAMES)) == 2, 120)
    processes = dict(replicas(*NAMES))
    assert len(processes) == 2, "they are on two nodes"
    calls: list[tuple[float, float, int | str]] = []
    stop = threading.Event()

    def client() -> None:
        with httpx.Client(base_url=deployed.url, timeout=120) as http:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    outcome: int | str = http.post(**PREDICT, content=photo).status_code
                except httpx.TransportError as error:
                    outcome = repr(error)
                calls.append((began, time.monotonic(), outcome))

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(calls) > 20)
        doomed = next(n for n in deployed.cluster.worker_nodes if n.node_id in processes)
        killed = time.monotonic()
        deployed.cluster.remove_node(doomed, allow_graceful=False)
        with suppress(ProcessLookupError):  # which else may outlive its node for a second
            os.kill(processes[doomed.node_id], signal.SIGKILL)
        gone = time.monotonic()
        eventually(lambda: [n for n, _ in replicas(*NAMES) if n != doomed.node_id][1:], 200)
        reached = len(calls)
        eventually(lambda: len(calls) > reached + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    failed = [call for call in calls if call[2] != 200]
    assert len(failed) <= len(threads), failed
    for began, ended, outcome in failed:  # on their way when the node was killed
        assert killed <= ended, outcome
        assert began <= gone + 0.5, outcome


def test_too_much_is_refused_in_the_services_own_words(deployed: Deployed, photo: bytes) -> None:
    """Replicas admit 1 + 16 requests each; nothing piles up behind them."""
    request = PREDICT | {"url": f"{deployed.url}/predict", "content": photo, "timeout": 120}
    with ThreadPoolExecutor(120) as pool:
        answers = list(pool.map(lambda _: httpx.post(**request), range(240)))
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"]


def test_a_longer_queue_brings_another_replica(deployed: Deployed, photo: bytes) -> None:
    eventually(lambda: len(replicas(*NAMES)) == 2, 120)
    with traffic(deployed.url, [PREDICT | {"content": photo}], clients=12) as seen:
        eventually(lambda: len(replicas(*NAMES)) == 3, 120)
    assert {answer.status_code for answer in seen.responses} == {200}
    eventually(lambda: len(replicas(*NAMES)) == 2, 120)


def test_another_store_takes_over_without_a_failed_request(
    deployed: Deployed, photo: bytes, store: Path
) -> None:
    before = Classifier().store.record("mobilenet", "int8").version
    after = publish_retrained(store, 1).record("mobilenet", "int8").version
    with traffic(deployed.url, [PREDICT | {"content": photo}], clients=3) as seen:
        seen.await_more(10)
        deployed.deployment["user_config"]["store"] = str(store)
        deploy(deployed.config)
        seen.await_more(20)
    assert seen.errors == []
    assert {answer.status_code for answer in seen.responses} == {200}
    versions = [answer.json()["version"] for answer in seen.responses]
    assert set(versions) == {before, after}
    assert set(versions[-15:]) == {after}


def test_batches_and_models_in_a_deployment_of_their_own(
    deployed: Deployed, photo: bytes, classifier: Classifier
) -> None:
    args = {"layout": "staged", "max_replicas": 1}
    serve.run(build(Options.model_validate(args)), name="staged", route_prefix="/staged")
    artifacts = serve.get_deployment_handle("Artifacts", "staged")
    records = classifier.store.records
    assert len(records) > ARTIFACTS_PER_REPLICA
    with httpx.Client(base_url=f"{deployed.url}/staged", timeout=120) as http:

        def ask(number: int) -> tuple[str, str, httpx.Response]:
            record = records[number % len(records)]
            query = {"model": record.model, "precision": record.precision}
            return *query.values(), http.post("/predict", params=query, content=photo)

        for model, precision, answer in map(ask, range(len(records))):
            assert answer.status_code == 200, answer.text
            expected = classifier.predict(photo, model, precision).faces[0].probabilities
            got = list(answer.json()["faces"][0]["probabilities"].values())
            assert got == pytest.approx(expected.tolist(), abs=1e-6)
        counts = artifacts.counts.remote().result()
        assert counts["loaded"] > counts["kept"] == ARTIFACTS_PER_REPLICA
    named = artifacts.options(multiplexed_model_id=model_id(classifier.store.root, records[0]))
    face = np.zeros(records[0].input.shape, np.uint8)
    alone = named.run.remote(face).result()
    together = [named.run.remote(face) for _ in range(40)]
    assert all((call.result() == alone).all() for call in together)
    assert artifacts.counts.remote().result()["largest_batch"] > 1
    serve.delete("staged")
