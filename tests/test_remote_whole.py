"""What a store elsewhere may serve: whole versions, whose names any disk can tell apart."""

from pathlib import Path

import pytest

from emotion.errors import StoreError
from emotion.remote import RemoteStore
from emotion.remote.records import StoredFile, Version
from emotion.store import ModelStore
from tests.elsewhere import promoted, small_store


@pytest.fixture
def remote(tmp_path: Path) -> RemoteStore:
    return RemoteStore(f"file://{tmp_path}/elsewhere")


def test_names_that_some_disks_take_for_one_are_refused(
    remote: RemoteStore, tmp_path: Path
) -> None:
    file = StoredFile(path="manifest.json", sha256="0" * 64, bytes=1)
    twins = [file.model_copy(update={"path": f"reports/{name}.md"}) for name in ("a", "A")]
    with pytest.raises(ValueError, match="twice"):
        Version(files=(file, *twins))
    store = small_store(tmp_path / "store")
    (store / "reports" / "Report.md").write_text("")
    if len(list((store / "reports").iterdir())) == 2:
        with pytest.raises(StoreError, match="differ"):
            remote.push(ModelStore(store))


def test_nothing_is_rolled_back_to_that_is_not_whole(remote: RemoteStore, tmp_path: Path) -> None:
    old = small_store(tmp_path / "old")
    promoted(remote, old)
    version = promoted(remote, small_store(tmp_path / "new", 1))
    artifact = ModelStore(old).records[0]
    (tmp_path / "elsewhere" / "blobs" / artifact.sha256).unlink()
    with pytest.raises(StoreError, match=f"lacks {artifact.file}: push again"):
        remote.rollback()
    assert remote.channel().version == version
    remote.push(ModelStore(old))
    assert remote.rollback().version != version
