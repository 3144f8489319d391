import errno
import json
import os
import resource
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmarks.stores import MODEL, newer
from emotion.errors import (
    ArtifactUnavailableError,
    StoreError,
    UnknownArtifactError,
)
from emotion.manifest import sealed
from emotion.records import ArtifactRecord
from emotion.registry import Registry
from emotion.store import ModelStore, publish
from tests.stores import edit_manifest


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def int8(root: Path) -> ArtifactRecord:
    return ModelStore(root).record("mobilenet", "int8")


def test_publishing_into_an_empty_directory_makes_a_store(store: Path, tmp_path: Path) -> None:
    source = ModelStore(store)
    items = [(record, source.read(record)) for record in source.records]
    publish(tmp_path / "new", items, {"mobilenet": "# card"})
    copy = ModelStore(tmp_path / "new")
    assert copy.records == source.records
    assert copy.read(copy.records[0]) == items[0][1]
    assert copy.card("mobilenet") == "# card"
    assert not [name for name in snapshot(tmp_path / "new") if name.startswith(".")]


def test_publishing_replaces_its_own_and_keeps_the_others(store: Path, small_store: Path) -> None:
    item = newer(int8(store), b"another content")
    old = store / int8(store).file
    publish(store, [item], {})
    after = ModelStore(store)
    assert after.record("mobilenet", "int8") == item[0]
    assert after.read(item[0]) == b"another content"
    assert len(after.records) == len(ModelStore(small_store).records)
    assert after.read(after.record("mobilenet", "float32"))
    assert not old.exists()


def test_no_reader_takes_a_newer_artifact_for_its_own(store: Path) -> None:
    before = ModelStore(store)
    publish(store, [newer(int8(store), b"another content")], {})
    with pytest.raises(ArtifactUnavailableError, match="No such file"):
        before.read(before.record("mobilenet", "int8"))


def test_a_failed_rename_undoes_those_before_it(store: Path) -> None:
    card = store / "mobilenet" / "card.md"
    card.unlink()
    card.mkdir()
    before = snapshot(store)
    with pytest.raises(StoreError, match=r"Publishing failed: .*card\.md"):
        publish(store, [newer(int8(store), b"new")], {"mobilenet": "new card"})
    assert snapshot(store) == before
    card.rmdir()
    ModelStore(store).read(int8(store))


def test_a_card_need_not_be_readable(store: Path) -> None:
    card = store / "mobilenet" / "card.md"
    card.write_bytes(b"\xff\xfe\x80")
    assert ModelStore(store).card("mobilenet")
    card.unlink()
    assert ModelStore(store).card("mobilenet") == ""


@pytest.mark.parametrize("survives", [0, 1, 2])
def test_a_full_disk_leaves_the_store_as_it_was(
    store: Path, survives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, calls, real = snapshot(store), [0], os.fsync

    def full(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] > survives:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "int8.tflite")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        publish(store, [newer(int8(store), b"new")], {"mobilenet": "new card"})
    assert snapshot(store) == before


def test_a_file_that_cannot_grow_is_named(store: Path) -> None:
    before = snapshot(store)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"mobilenet/int8-.*\.tflite: File too large"):
            publish(store, [newer(int8(store), bytes(2000))], {"mobilenet": "new card"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert snapshot(store) == before


def test_publishing_into_a_newer_store_is_refused(store: Path) -> None:
    item = (int8(store), b"new")
    edit_manifest(store, schema_version=3)
    before = snapshot(store)
    with pytest.raises(StoreError, match=r"manifest\.json has schema version 3"):
        publish(store, [item], {})
    assert snapshot(store) == before


def test_a_directory_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Publishing failed.*file"):
        publish(tmp_path / "file" / "store", [], {})


def test_unknown_artifacts_list_those_there_are(store: Path) -> None:
    with pytest.raises(UnknownArtifactError, match=r"no artifact alexnet/int8.*mobilenet/int8"):
        ModelStore(store).record("alexnet", "int8")


def test_a_missing_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"No model store.*EMOTION_STORE"):
        ModelStore(tmp_path)


def test_a_newer_schema_is_refused(store: Path) -> None:
    edit_manifest(store, schema_version=3, something_new=True)
    with pytest.raises(StoreError, match=r"schema version 3.*newer release"):
        ModelStore(store)


def test_a_store_from_before_manifests_were_sealed_is_read_and_published_into(
    store: Path,
) -> None:
    path = store / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    path.write_text(json.dumps(manifest | {"schema_version": 1}))
    assert len(ModelStore(store).records) == len(manifest["artifacts"])
    publish(store, [newer(int8(store), b"new")], {})
    after = json.loads(path.read_text())
    assert (after["schema_version"], len(after["sha256"])) == (2, 64)


def test_a_store_may_lack_detectors(store: Path) -> None:
    path = store / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.pop("detectors", None)
    path.write_bytes(sealed(manifest))
    assert ModelStore(store).detectors == ()
    assert ModelStore(store).records


def test_other_classes_are_refused(store: Path) -> None:
    edit_manifest(store, classes=["happy", "sad"])
    with pytest.raises(StoreError, match="lists the classes"):
        ModelStore(store)


def test_a_half_written_manifest_is_refused(store: Path) -> None:
    path = store / "manifest.json"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        ModelStore(store)


def test_a_missing_artifact_takes_out_itself_alone(store: Path) -> None:
    (store / int8(store).file).unlink()
    registry = Registry(ModelStore(store))
    with pytest.raises(ArtifactUnavailableError, match=r"int8-.*\.tflite: No such file"):
        registry.get("mobilenet", "int8")
    assert registry.get("mobilenet", "float16").record.precision == "float16"


def test_an_artifact_swapped_for_another_is_refused(store: Path) -> None:
    shutil.copy(
        store / ModelStore(store).record("mobilenet", "float16").file, store / int8(store).file
    )
    with pytest.raises(ArtifactUnavailableError, match="is damaged"):
        Registry(ModelStore(store)).get("mobilenet", "int8")


def test_an_artifact_of_another_pipeline_is_refused(store: Path) -> None:
    record = int8(store).model_copy(update={"pipeline_fingerprint": "f" * 16})
    with pytest.raises(ArtifactUnavailableError, match="trained with image pipeline ffff"):
        ModelStore(store).read(record)


def test_a_manifest_that_describes_other_tensors_is_refused(store: Path) -> None:
    record = int8(store)
    wrong = record.model_copy(update={"input": record.input.model_copy(update={"scale": 0.5})})
    publish(store, [(wrong, ModelStore(store).read(record))], {})
    with pytest.raises(ArtifactUnavailableError, match="not those the manifest describes"):
        Registry(ModelStore(store)).get("mobilenet", "int8")


MUTATIONS = st.one_of(  # where, and what becomes of the content
    st.tuples(st.just("flip"), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.just(0)),
    st.tuples(st.just("remove"), st.integers(1, 5000)),
    st.tuples(st.just("insert"), st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("write"), st.binary(min_size=1, max_size=20)),
)


def mutated(content: bytes, place: float, mutation: tuple[str, int | bytes]) -> bytes:
    at = int(place * len(content))
    kind, what = mutation
    if isinstance(what, bytes):
        return content[:at] + what + content[at + (len(what) if kind == "write" else 0) :]
    if kind == "flip":
        return content[:at] + bytes([content[at] ^ what]) + content[at + 1 :]
    return content[:at] + (content[at + what :] if kind == "remove" else b"")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), mutation=MUTATIONS)
def test_a_mutated_artifact_is_refused_by_name(
    store: Path, place: float, mutation: tuple[str, int | bytes]
) -> None:
    record = int8(store)
    path = store / record.file
    original = path.read_bytes()
    path.write_bytes(changed := mutated(original, place, mutation))
    assume(changed != original)
    try:
        with pytest.raises(ArtifactUnavailableError, match=rf"{record.file} is damaged .*restore"):
            ModelStore(store).read(record)
    finally:
        path.write_bytes(original)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), mutation=MUTATIONS)
def test_a_mutated_manifest_is_refused_by_name(
    store: Path, place: float, mutation: tuple[str, int | bytes]
) -> None:
    path = store / "manifest.json"
    original = path.read_bytes()
    path.write_bytes(changed := mutated(original, place, mutation))
    try:
        if as_json(changed) == as_json(original):  # laid out otherwise
            assert ModelStore(store).records
        else:
            with pytest.raises(StoreError, match=r"manifest\.json (is damaged|was|has|lists)"):
                ModelStore(store)
    finally:
        path.write_bytes(original)


def as_json(text: bytes) -> object:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return None


def test_a_manifest_edited_by_hand_is_refused(store: Path) -> None:
    path = store / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"][0]["metrics"]["accuracy"] = 1.0
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=r"manifest\.json was changed after .*publish every"):
        ModelStore(store)


def test_a_path_outside_the_store_cannot_be_named(store: Path) -> None:
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["artifacts"][0]["file"] = "../../etc/passwd-0123456789ab.tflite"
    edit_manifest(store, artifacts=manifest["artifacts"])
    with pytest.raises(StoreError, match=r"artifacts\.0\.file"):
        ModelStore(store)


def test_a_damaged_file_is_read_once_until_it_changes(store: Path) -> None:
    reads = []

    class Counting(ModelStore):
        def read(self, record: ArtifactRecord) -> bytes:
            reads.append(record.name)
            return super().read(record)

    counting = Counting(store)
    file = store / counting.record(MODEL, "int8").file
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    registry = Registry(counting)
    for _ in range(3):
        with pytest.raises(ArtifactUnavailableError, match="is damaged"):
            registry.get(MODEL, "int8")
    assert len(reads) == 1
    file.write_bytes(content)
    assert registry.get(MODEL, "int8").record.precision == "int8"
    assert registry.failed == {}


def test_artifacts_load_beside_each_other(store: Path) -> None:
    begun, release = threading.Event(), threading.Event()

    class Slow(ModelStore):
        def read(self, record: ArtifactRecord) -> bytes:
            if record.precision == "int8":
                begun.set()
                assert release.wait(10)
            return super().read(record)

    registry = Registry(Slow(store))
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(registry.get, MODEL, "int8")
        assert begun.wait(10)
        try:
            quick = pool.submit(registry.get, MODEL, "float32")
            assert quick.result(timeout=5).record.precision == "float32"
        finally:
            release.set()
        assert slow.result().record.precision == "int8"
