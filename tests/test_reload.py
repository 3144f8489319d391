"""The store is replaced under a live service: nothing fails, nothing is mixed, nothing lies."""

import asyncio
import errno
import itertools
import json
import os
import shutil
import signal
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from statistics import median

import httpx
import pytest

from benchmarks.stores import MODEL, newer, publish_retrained, retrained
from emotion import EMOTIONS, Classifier
from emotion.errors import StoreError
from emotion.records import ArtifactRecord
from emotion.remote.cache import Look
from emotion.store import ModelStore, publish
from service.metrics import Metrics
from service.reload import CurrentStore, followed
from tests.clients import eventually, traffic
from tests.conftest import Server, StartServer
from tests.observed import events, sample
from tests.stores import edit_manifest

QUICK = {"reload_seconds": 0.1, "deadline_seconds": 60}


def versions(root: Path) -> frozenset[str]:
    return frozenset(f"{r.name}@{r.version}" for r in ModelStore(root).records)


def serves(server: Server, root: Path) -> bool:
    """Whether the worker that answers has the store that is on disk."""
    return set(httpx.get(f"{server.url}/readyz").json()["artifacts"]) == versions(root)


def version_of(server: Server, photo: bytes, precision: str = "int8") -> str:
    answer = httpx.post(f"{server.url}/predict?precision={precision}", content=photo, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["version"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_newer_store_takes_over_under_load(
    start_server: StartServer, store: Path, photo: bytes, workers: int
) -> None:
    right: dict[str, list[float]] = {}
    states = []

    def learn() -> None:
        classifier = Classifier(store)
        states.append(frozenset(r.version for r in classifier.store.records))
        for record in classifier.store.records:
            face = classifier.predict(photo, record.model, record.precision).faces[0]
            right[record.version] = face.probabilities.tolist()

    requests = [{"url": f"/predict?precision={p}", "content": photo} for p in ("int8", "float32")]
    requests.append({"url": "/compare", "content": photo})
    learn()
    with (
        start_server(store=store, workers=workers, **QUICK) as server,
        traffic(server.url, requests) as seen,
    ):
        for seed in range(4):
            seen.await_more(5)
            publish_retrained(store, seed)
            learn()
            if seed % 2:  # the others are replaced while they are being loaded
                eventually(lambda: all(serves(server, store) for _ in range(4 * workers)))
        seen.await_more(5)
    assert not seen.errors
    last = set()
    for response in seen.responses:
        assert response.status_code == 200, response.text
        answer = response.json()
        if "faces" in answer:
            found = {answer["version"]: answer["faces"][0]["probabilities"]}
        else:
            found = {a["version"]: a["probabilities"] for a in answer["artifacts"]}
            assert found.keys() in states
        last = found.keys()
        for version, probabilities in found.items():
            assert list(probabilities.values()) == right[version]
            assert list(probabilities) == list(EMOTIONS)
    assert last <= states[-1]
    assert len({r.json()["version"] for r in seen.responses if "faces" in r.json()}) >= 4
    assert events(server, "store read")


def break_manifest(root: Path) -> None:
    path = root / "manifest.json"
    path.write_bytes(path.read_bytes()[:700])


def pipe_for_manifest(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "pipe").replace(root / "manifest.json")


def older_schema(root: Path) -> None:
    edit_manifest(root, schema_version=0)


def no_manifest(root: Path) -> None:
    (root / "manifest.json").unlink()


def damaged_successor(root: Path) -> None:
    successor, _ = newer(ModelStore(root).record(MODEL, "int8"), b"whole")
    publish(root, [(successor, b"damaged")], {})


def manifest_before_its_files(root: Path) -> None:
    old = ModelStore(root).record(MODEL, "float16")
    successor, _ = newer(old, b"not there yet")
    records = [successor if r == old else r for r in ModelStore(root).records]
    edit_manifest(root, artifacts=[record.model_dump(mode="json") for record in records])


def damaged_new_detector(root: Path) -> None:
    store = ModelStore(root)
    fastest = store.detectors[0]
    changes = {"sha256": "0" * 64, "file": f"detector/{fastest.precision}-{'0' * 12}.tflite"}
    publish(root, [], {}, [(fastest.model_copy(update=changes), b"damaged")])


def test_an_unusable_store_is_refused_and_the_old_one_serves_on(
    start_server: StartServer, store: Path, small_store: Path, photo: bytes
) -> None:
    good = versions(store)
    breakages: list[tuple[Callable[[Path], None], str]] = [
        (break_manifest, "is damaged"),
        (pipe_for_manifest, "no regular file"),
        (older_schema, "has schema version 0, this release reads 1 and 2: publish it again"),
        (no_manifest, "No model store"),
        (damaged_successor, "is damaged (sha256"),
        (manifest_before_its_files, "No such file"),
        (damaged_new_detector, "detector/int8"),
    ]
    with start_server(store=store, **QUICK) as server:
        detector = httpx.get(f"{server.url}/readyz").json()["detector"]

        def refusals(reason: str) -> int:
            return sum(reason in str(e["reason"]) for e in events(server, "store refused"))

        for breaking, reason in breakages:
            earlier = refusals(reason)  # while the store was copied, say
            breaking(store)
            eventually(lambda text=reason, known=earlier: refusals(text) > known)
            lines = refusals("")
            time.sleep(0.3)  # one refusal is one line, however often the poll comes round
            assert refusals("") == lines
            ready = httpx.get(f"{server.url}/readyz").json()
            assert set(ready["artifacts"]) == good
            assert ready["detector"] == detector
            for precision in ("float32", "float16", "int8"):
                assert f"{MODEL}/{precision}@{version_of(server, photo, precision)}" in good
            shutil.rmtree(store)
            read = len(events(server, "store read"))
            shutil.copytree(small_store, store)  # slowly, file by file
            eventually(lambda known=read: len(events(server, "store read")) > known)
        assert sample(server.url, "emotion_store_reloads_total", outcome="refused") >= 6
        publish_retrained(store, 1)
        eventually(lambda: serves(server, store))
        switched = {"outcome": "switched"}  # counted once the shared files have been looked at
        eventually(lambda: sample(server.url, "emotion_store_reloads_total", **switched) == 1)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), MemoryError("no room")])
def test_a_store_refused_for_a_passing_reason_is_looked_at_again(
    store: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    metrics = Metrics()
    current = current_store(store, metrics)
    before = current.classifier
    publish_retrained(store, 1)
    with monkeypatch.context() as broken:

        def fail(path: Path) -> bytes:
            raise error

        broken.setattr(Path, "read_bytes", fail)
        for _ in range(3):
            current.check()
    assert current.classifier is before
    assert current.refused
    assert b'emotion_store_reloads_total{outcome="refused"} 1.0' in metrics.text()
    current.check()  # nothing has changed on disk
    assert current.refused is None
    assert {f"{r.name}@{r.version}" for r in current.classifier.registry.loaded} == versions(store)


def test_a_store_whose_files_cannot_be_opened_for_a_while_serves_in_the_end(
    start_server: StartServer, store: Path
) -> None:
    with start_server(store=store, **QUICK) as server:
        good = httpx.get(f"{server.url}/readyz").json()
        (link := store.parent / "new").symlink_to("new")  # too many levels: an OSError
        whole = store.rename(store.parent / "whole")
        publish_retrained(whole, 1)
        link.rename(store)
        eventually(lambda: events(server, "store refused"))
        time.sleep(0.5)
        assert len(events(server, "store refused")) == 1
        ready = httpx.get(f"{server.url}/readyz").json()
        assert ready["artifacts"] == good["artifacts"]
        assert ready["status"] == "degraded"
        assert "refused" in ready["unavailable"]["store"]
        store.unlink()
        whole.rename(store)
        eventually(lambda: serves(server, store))
        assert httpx.get(f"{server.url}/readyz").json()["status"] == "ready"


def test_what_is_in_memory_survives_damage_on_disk(
    start_server: StartServer, store: Path, photo: bytes
) -> None:
    before = ModelStore(store)
    float32, float16, int8 = (before.record(MODEL, p) for p in ("float32", "float16", "int8"))
    with start_server(store=store, **QUICK) as server:
        (store / int8.file).write_bytes(b"damaged")
        (store / float16.file).unlink()
        shutil.copy(store / before.detectors[-1].file, store / float32.file)
        (store / before.detectors[0].file).write_bytes(b"damaged")
        problems = {"problem": "damaged_on_disk"}
        eventually(lambda: sample(server.url, "emotion_store_problems", **problems) == 4)
        edit_manifest(store, pipeline={})  # another manifest, which lists the same artifacts
        eventually(lambda: len(events(server, "store read")) >= 2)
        for record in (float32, float16, int8):
            assert version_of(server, photo, record.precision) == record.version
        ready = httpx.get(f"{server.url}/readyz").json()
        assert ready["status"] == "degraded"
        assert ready["detector"] == before.detectors[0].name
        detector = f"detector/{before.detectors[0].precision}"
        assert ready["unavailable"].keys() == {
            detector,
            *(r.name for r in (float32, float16, int8)),
        }
        assert events(server, "artifact served from memory")
    with start_server(store=store) as restarted:  # it has nothing left but the other models
        ready = httpx.get(f"{restarted.url}/readyz").json()
        assert {r.name for r in (float32, float16, int8)} <= set(ready["unavailable"])
        assert sample(restarted.url, "emotion_store_problems", problem="unavailable") >= 3
        said = {e["artifact"]: e["reason"] for e in events(restarted, "artifact unavailable")}
        assert "damaged" in str(said[int8.name])
        assert "No such file" in str(said[float16.name])
        assert "damaged" in str(said[float32.name])


def test_a_store_can_be_repaired_and_its_detector_replaced(
    start_server: StartServer, store: Path, photo: bytes
) -> None:
    fastest, slower, *_ = ModelStore(store).detectors
    file = store / ModelStore(store).record(MODEL, "int8").file
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    with start_server(store=store, **QUICK) as server:
        url = f"{server.url}/predict?precision=int8"
        assert httpx.post(url, content=photo).status_code == 503
        file.write_bytes(content)
        eventually(lambda: httpx.get(f"{server.url}/readyz").json()["status"] == "ready")
        assert httpx.post(url, content=photo).status_code == 200
        quick = slower.latency.model_copy(update={"p50_ms": 0.1})
        changed = slower.model_copy(update={"latency": quick})
        publish(store, [], {}, [(changed, ModelStore(store).read_detector(slower))])
        eventually(lambda: httpx.post(url, content=photo).json()["detector"] == slower.name)
        edit_manifest(store, detectors=[])
        eventually(lambda: httpx.post(url, content=photo).json()["detector"] == "res10-ssd-caffe")
    assert fastest.name != slower.name


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_alone_where_polling_is_off(
    start_server: StartServer, store: Path, photo: bytes, workers: int
) -> None:
    artifacts = len(ModelStore(store).records)
    with start_server(store=store, reload_seconds=0, workers=workers) as server:
        # /readyz is one worker's answer, and the other may still be reading the store.
        eventually(lambda: len(events(server, "artifact loaded")) == workers * artifacts)
        before = version_of(server, photo)
        after = publish_retrained(store, 1).record(MODEL, "int8").version
        time.sleep(1)
        assert version_of(server, photo) == before
        with traffic(server.url, [{"url": "/predict", "content": photo}], 2) as seen:
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: {version_of(server, photo) for _ in range(8)} == {after}, seconds=60)
        assert {response.status_code for response in seen.responses} == {200}


def test_what_was_replaced_before_its_first_use_is_no_failed_request(
    start_server: StartServer, store: Path, photo: bytes
) -> None:
    with start_server(store=store, preload="none", reload_seconds=3600) as server:
        after = publish_retrained(store, 1).record(MODEL, "int8").version
        assert version_of(server, photo) == after


def test_looks_do_not_fall_into_step(store: Path) -> None:
    looks: list[float] = []

    def look() -> Look:
        looks.append(time.monotonic())
        return Look(store)

    def pauses() -> list[float]:
        return [after - before for before, after in itertools.pairwise(looks)][1:]

    opened = Classifier(store)
    current = CurrentStore(look, lambda store, before: opened, lambda store: [], Metrics())

    async def follow() -> None:
        async with followed(current, 0.1):
            until = time.monotonic() + 20
            while not any(pause < 0.095 for pause in pauses()) and time.monotonic() < until:
                await asyncio.sleep(0.02)

    asyncio.run(follow())
    assert 0.075 <= min(pauses()) < 0.095


def current_store(root: Path, metrics: Metrics | None = None) -> CurrentStore:
    def opened(store: ModelStore, before: Classifier | None) -> Classifier:
        return Classifier(store, before=before)

    return CurrentStore(
        lambda: Look(root), opened, lambda store: list(store.records), metrics or Metrics()
    )


def test_a_store_replaced_while_it_is_first_read_is_read_anew(store: Path) -> None:
    def opened(read: ModelStore, before: Classifier | None) -> Classifier:
        if read.record(MODEL, "int8") == shipped:
            publish_retrained(store, 1)
        return Classifier(read, before=before)

    shipped = ModelStore(store).record(MODEL, "int8")
    current = CurrentStore(lambda: Look(store), opened, lambda read: list(read.records), Metrics())
    assert current.classifier.registry.failed == {}
    assert current.classifier.store.record(MODEL, "int8") != shipped


def test_a_request_under_way_finishes_on_the_old_store_and_then_frees_it(
    store: Path, photo: bytes
) -> None:
    current = current_store(store)
    old = current.classifier
    expected = old.predict(photo, MODEL, "int8").faces[0].probabilities.tolist()
    publish_retrained(store, 1)
    current.check()
    assert current.classifier is not old
    assert old.predict(photo, MODEL, "int8").faces[0].probabilities.tolist() == expected
    gone = weakref.ref(old.registry.get(MODEL, "int8"))
    shared = weakref.ref(old.detector)
    del old  # no garbage collection is needed, for it comes rarely
    assert gone() is None
    assert shared() is current.classifier.detector


def test_a_publisher_that_follows_while_its_predecessor_is_loaded_is_no_refusal(
    store: Path,
) -> None:
    seeds = iter([2, 3])

    def preload(opened: ModelStore) -> list[ArtifactRecord]:
        if next(looks) > 0 and (seed := next(seeds, None)):
            publish_retrained(store, seed)  # deletes the files of what was just opened
        return list(opened.records)

    looks = itertools.count()
    metrics = Metrics()
    current = CurrentStore(
        lambda: Look(store), lambda s, b: Classifier(s, before=b), preload, metrics
    )
    publish_retrained(store, 1)
    current.check()
    assert {f"{r.name}@{r.version}" for r in current.classifier.registry.loaded} == versions(store)
    assert next(seeds, None) is None
    assert b'emotion_store_reloads_total{outcome="refused"} 0.0' in metrics.text()


def test_a_manifest_replaced_while_it_is_read_is_seen_at_the_next_look(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overtaken(ModelStore):
        def __init__(self, root: Path) -> None:
            super().__init__(root)
            if next(looks) == 0:
                publish_retrained(store, 1)

    looks = itertools.count()
    monkeypatch.setattr("service.reload.ModelStore", Overtaken)
    current = CurrentStore(
        lambda: Look(store), lambda s, b: Classifier(s, before=b), lambda s: [], Metrics()
    )
    assert current.classifier.store.manifest != ModelStore(store).manifest
    current.check()
    assert current.classifier.store.manifest == ModelStore(store).manifest


def test_records_may_change_without_their_artifact(store: Path) -> None:
    current = current_store(store)
    record = ModelStore(store).record(MODEL, "int8")
    old = current.classifier.registry.get(MODEL, "int8")
    (store / record.file).unlink()
    metrics = record.metrics.model_copy(update={"macro_f1": 0.5})
    edited = json.loads((store / "manifest.json").read_text())
    for entry in edited["artifacts"]:
        if entry["sha256"] == record.sha256:
            entry["metrics"] = metrics.model_dump()
    edit_manifest(store, artifacts=edited["artifacts"])
    current.check()
    new = current.classifier.registry.get(MODEL, "int8")
    assert new.record.metrics == metrics
    assert new._interpreters is old._interpreters


def test_memory_does_not_grow_with_reloads(start_server: StartServer, store: Path) -> None:
    with start_server(store=store, **QUICK) as server:
        resident = []
        for seed in range(12):
            publish_retrained(store, seed)
            eventually(lambda: serves(server, store))
            resident.append(server.resident_bytes)
    # not the largest: one may be taken while the store before is still being let go
    assert median(resident[6:]) < 1.15 * max(resident[:4]), resident


def test_two_publishers_take_turns(store: Path) -> None:
    """Without the lock each deletes what the other has written but not yet named."""
    from concurrent.futures import ThreadPoolExecutor

    shipped = ModelStore(store)
    records = [shipped.record(MODEL, p) for p in ("float16", "int8")]
    contents = {r.precision: shipped.read(r) for r in records}

    def publish_often(number: int) -> None:
        record = records[number]
        for seed in range(8):
            item = newer(record, retrained(contents[record.precision], seed))
            publish(store, [item], {})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(publish_often, range(2)))
    after = ModelStore(store)
    assert len(after.records) == len(shipped.records)
    for record in after.records:
        after.read(record)
    for record in records:
        last = newer(record, retrained(contents[record.precision], 7))[0]
        assert after.record(MODEL, record.precision).version == last.version


def test_a_file_in_place_of_the_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="Publishing failed"):
        publish(tmp_path / "store", [], {})
