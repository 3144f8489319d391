"""A store in Google Cloud Storage, as an emulator of it answers; the real one was never asked."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from benchmarks.server import free_port
from emotion.errors import RemoteStoreError
from emotion.remote import RemoteStore, open_store
from emotion.remote.objects import Objects
from emotion.store import ModelStore
from tests.clients import eventually
from tests.elsewhere import promoted, small_store

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
    program = Path(sys.executable).with_name("gcp-storage-emulator")
    where = ["--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    process = subprocess.Popen(
        [program, "start", *where, "--default-bucket", "models"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/storage/v1/b/models").is_success
        return False

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        environment.setenv("FSSPEC_GS", '{"token": "anon"}')
        # Else gcsfs asks over gRPC, which the emulator does not speak; read as it is imported.
        environment.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        try:
            eventually(answers)
            yield "gs://models"
        finally:
            process.kill()
            process.wait()


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
