"""The cache of a store elsewhere: what is in it is checked, and stays while somebody uses it."""

import gc
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotion import Classifier
from emotion.errors import StoreError
from emotion.remote import CachedStore, RemoteStore, cache, open_store
from emotion.remote.contents import version_of
from emotion.store import ModelStore
from tests.conftest import ROOT
from tests.elsewhere import promoted, small_store


@pytest.fixture
def remote(tmp_path: Path) -> RemoteStore:
    return RemoteStore(f"file://{tmp_path}/elsewhere")


def cached(remote: RemoteStore, tmp_path: Path) -> CachedStore:
    return CachedStore(remote.url, cache_dir=tmp_path / "cache")


def forget_use(root: Path) -> None:
    """Make a cached version look as if nobody had asked for it for two days."""
    before = time.time() - 2 * 24 * 3600
    os.utime(root, (before, before))


def replaced_by_another(root: Path, other: Path) -> None:
    """Put another store and its listing where a cached version lies."""
    shutil.rmtree(root)
    shutil.copytree(other, root)
    listing = version_of(ModelStore(other)).encoded()
    root.with_suffix(".json").write_bytes(listing)


def test_another_store_in_a_versions_place_is_not_served(
    remote: RemoteStore, tmp_path: Path
) -> None:
    mine, other = small_store(tmp_path / "mine", 0), small_store(tmp_path / "other", 1)
    promoted(remote, mine)
    root = cached(remote, tmp_path).look().root
    replaced_by_another(root, other)
    again = cached(remote, tmp_path).look()
    assert (again.root, again.problem) == (root, None)
    assert version_of(ModelStore(root)) == version_of(ModelStore(mine))
    replaced_by_another(root, other)
    shutil.rmtree(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="has no channel"):
        cached(remote, tmp_path).look()


def test_what_is_in_use_is_not_deleted(remote: RemoteStore, tmp_path: Path) -> None:
    stores = [small_store(tmp_path / f"{n}", n) for n in range(4)]
    promoted(remote, stores[0])
    classifier = Classifier(open_store(remote.url, cache_dir=tmp_path / "cache"))
    root = classifier.store.root
    forget_use(root)
    promoted(remote, stores[1])
    other = cached(remote, tmp_path)
    other.look()
    assert classifier.load()  # from its files, which are the old version's
    assert other.look().problem is None
    del classifier
    gc.collect()
    forget_use(root)
    promoted(remote, stores[2])
    assert other.look().root.is_dir()
    assert not list(root.parent.glob(f"{root.name}*"))


def test_a_version_in_use_by_another_process_is_not_deleted(
    remote: RemoteStore, tmp_path: Path
) -> None:
    promoted(remote, small_store(tmp_path / "0", 0))
    code = """
import sys
from pathlib import Path
from emotion.remote import open_store
store = open_store(sys.argv[1], cache_dir=Path(sys.argv[2]))
print(store.root, flush=True)
sys.stdin.read()
store.read(store.records[0])
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, remote.url, str(tmp_path / "cache")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        root = Path(process.stdout.readline().strip())
        forget_use(root)
        promoted(remote, small_store(tmp_path / "1", 1))
        cached(remote, tmp_path).look()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_version_that_was_deleted_is_brought_again(remote: RemoteStore, tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    promoted(remote, store)
    following = cached(remote, tmp_path)
    first = following.look()
    shutil.rmtree(tmp_path / "cache")
    assert following.look() == first
    assert version_of(ModelStore(first.root)) == version_of(ModelStore(store))
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "elsewhere")
    assert "has no channel" in str(following.look().problem)


def test_a_repair_leaves_what_is_sound_in_its_place(
    remote: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(remote, small_store(tmp_path / "store"))
    root = cached(remote, tmp_path).look().root
    serving = ModelStore(root)
    (root / "reports" / "report.md").write_text("damaged")
    place, seen = cache.place, []

    def placing(content: Path, target: Path) -> None:
        seen.append(serving.read(serving.records[0]))
        place(content, target)

    monkeypatch.setattr(cache, "place", placing)
    assert cached(remote, tmp_path).look().root == root
    assert len(seen) == 1
    assert (root / "reports" / "report.md").read_text() == "# None"


def test_a_version_larger_than_the_disk_is_refused_at_once(
    remote: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(remote, small_store(tmp_path / "store"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(StoreError, match="MB are missing"):
        cached(remote, tmp_path).look()
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_what_cannot_be_deleted_keeps_no_promotion_back(
    remote: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(remote, small_store(tmp_path / "0", 0))
    forget_use(cached(remote, tmp_path).look().root)
    version = promoted(remote, small_store(tmp_path / "1", 1))

    def refused(directory: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(directory))

    monkeypatch.setattr(cache, "delete_unheld", refused)
    look = cached(remote, tmp_path).look()
    assert (look.root.name, look.problem) == (version, None)


def test_what_is_not_used_any_more_is_deleted_at_the_switch_after(
    remote: RemoteStore, tmp_path: Path
) -> None:
    """A service that goes on serving an older store, say because it refused the newer ones."""
    following = cached(remote, tmp_path)
    promoted(remote, small_store(tmp_path / "0", 0))
    serving = ModelStore(following.look().root)
    for n in (1, 2):
        forget_use(serving.root)
        promoted(remote, small_store(tmp_path / f"{n}", n))
        assert following.look().problem is None
        assert serving.read(serving.records[0])
    root = serving.root
    del serving
    promoted(remote, small_store(tmp_path / "3", 3))
    following.look()
    assert not root.exists()
