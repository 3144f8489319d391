"""A store in Google Cloud Storage, as an emulator of it answers; the real one was never asked."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.server import free_port
from emotion.errors import RemoteStoreError
from emotion.remote import RemoteStore, open_store
from emotion.remote.objects import Objects
from emotion.store import ModelStore
from tests.elsewhere import at, emulator, promoted, small_store

pytestmark = [
    pytest.mark.skipif(
        not (find_spec("gcsfs") and find_spec("gcp_storage_emulator")),
        reason="gcsfs or gcp-storage-emulator is not installed",
    ),
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # gcsfs's way
]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of an empty bucket."""
    port = free_port()
    start = ("start", "--host", "127.0.0.1", "--port", port, "--in-memory")
    start += ("--default-bucket", "models")
    with (
        pytest.MonkeyPatch.context() as environment,
        emulator("gcp-storage-emulator", *start, url=f"{at(port)}/storage/v1/b/models"),
    ):
        environment.setenv("STORAGE_EMULATOR_HOST", at(port))
        environment.setenv("FSSPEC_GS", '{"token": "anon"}')
        # Else gcsfs asks over gRPC, which the emulator does not speak; read as it is imported.
        environment.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        yield "gs://models"


def test_a_round_trip(bucket: str, tmp_path: Path) -> None:
    remote = RemoteStore(f"{bucket}/emotion")
    one, two = small_store(tmp_path / "one"), small_store(tmp_path / "two", seed=1)
    first, second = promoted(remote, one), promoted(remote, two)
    assert first != second
    assert remote.channel().version == second
    opened = open_store(remote.url, cache_dir=tmp_path / "cache")
    assert opened.manifest == ModelStore(two).manifest
    assert opened.read(opened.records[0]) == ModelStore(two).read(opened.records[0])
    assert remote.push(ModelStore(two)).sent == 0
    assert remote.rollback().version == first
    assert open_store(remote.url, cache_dir=tmp_path / "cache").manifest == ModelStore(one).manifest


def test_a_changed_object_is_not_exchanged_and_a_missing_one_is_named(bucket: str) -> None:
    objects = Objects(f"{bucket}/objects")
    assert objects.exchange("channels/a.json", b"1", None)
    tag = objects.tag("channels/a.json")
    assert not objects.exchange("channels/a.json", b"2", None)
    assert objects.exchange("channels/a.json", b"3", tag)
    assert not objects.exchange("channels/a.json", b"4", tag)
    assert objects.read("channels/a.json") == b"3"
    with pytest.raises(RemoteStoreError, match=r"channels/b\.json: there is no such object"):
        objects.read("channels/b.json")
