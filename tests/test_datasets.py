import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emotion.labels import EMOTIONS
from training.datasets import CKPLUS_COUNTS, DatasetError, FaceDataset, load_ckplus
from training.splits import subject_split


@pytest.fixture(scope="module")
def unpacked(ckplus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(ckplus) as content:
        content.extractall(folder)
    return folder


@pytest.fixture
def broken(unpacked: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(unpacked, tmp_path / "copy"))


def check_ckplus(dataset: FaceDataset) -> None:
    counts = {label: int((dataset.labels == i).sum()) for i, label in enumerate(EMOTIONS)}
    assert counts == CKPLUS_COUNTS
    assert dataset.faces.shape == (981, 128, 128)
    for name, subject, sequence in zip(
        dataset.names, dataset.subjects, dataset.sequences, strict=True
    ):
        assert f"/{sequence}_" in name
        assert sequence.startswith(f"{subject}_")


def test_zip_and_folder_are_the_same_dataset(ckplus: Path, unpacked: Path) -> None:
    zipped, folder = load_ckplus(ckplus), load_ckplus(unpacked)
    check_ckplus(zipped)
    assert zipped.fingerprint == folder.fingerprint
    assert load_ckplus(unpacked / "CK+48").fingerprint == folder.fingerprint


def test_ckplus_itself(data_dir: Path) -> None:
    dataset = load_ckplus(data_dir / "ckplus.zip")
    check_ckplus(dataset)
    assert len(set(dataset.subjects)) == 118
    assert len(set(dataset.sequences)) == 327


def test_saving_keeps_everything(ckplus: Path, tmp_path: Path) -> None:
    dataset = load_ckplus(ckplus)
    dataset.save(tmp_path / "run" / "ckplus.npz")
    again = FaceDataset.load(tmp_path / "run" / "ckplus.npz")
    assert again.fingerprint == dataset.fingerprint
    assert np.array_equal(again.faces, dataset.faces)
    assert np.array_equal(again.names, dataset.names)
    with pytest.raises(DatasetError, match="training prepare"):
        FaceDataset.load(tmp_path / "nothing.npz")


def test_no_subject_is_on_two_sides(ckplus: Path) -> None:
    dataset = load_ckplus(ckplus)
    seen = []
    for fold in range(7):
        split = subject_split(dataset, seed=7, fold=fold)
        parts = [set(dataset.subjects[p]) for p in (split.train, split.validation, split.test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert sum(len(p) for p in (split.train, split.validation, split.test)) == 981
        seen.extend(split.test.tolist())
    assert sorted(seen) == list(range(981))


def test_a_missing_class_is_named(broken: Path) -> None:
    shutil.rmtree(broken / "CK+48" / "fear")
    with pytest.raises(DatasetError, match="class folder fear is missing"):
        load_ckplus(broken)


def test_missing_images_are_counted(broken: Path) -> None:
    next((broken / "CK+48" / "contempt").iterdir()).unlink()
    with pytest.raises(DatasetError, match=r"contempt has 53 images, CK\+ has 54.*Kaggle"):
        load_ckplus(broken)


def test_a_renamed_file_is_named(broken: Path) -> None:
    file = next((broken / "CK+48" / "happy").iterdir())
    file.rename(file.with_name("me.png"))
    with pytest.raises(DatasetError, match=r"happy/me\.png is not named like"):
        load_ckplus(broken)


def test_a_damaged_picture_is_named(broken: Path) -> None:
    file = sorted((broken / "CK+48" / "anger").iterdir())[5]
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DatasetError, match=rf"anger/{file.name}: The PNG image is truncated"):
        load_ckplus(broken)


def test_a_renamed_file_that_still_looks_like_ckplus_is_named(broken: Path) -> None:
    file = next((broken / "CK+48" / "happy").iterdir())
    file.rename(file.with_name("S999_001_00000001.png"))
    with pytest.raises(DatasetError, match=r"happy/S\d{3}_\d{3}_\d{8}\.png is one of [12] frames"):
        load_ckplus(broken)


def test_a_damaged_entry_of_the_zip_is_named(ckplus: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ckplus) as content:
        entry = content.infolist()[3]
    damaged = bytearray(ckplus.read_bytes())
    damaged[entry.header_offset + 300] ^= 255
    (tmp_path / "ckplus.zip").write_bytes(damaged)
    name = entry.filename.removeprefix("CK+48/")
    with pytest.raises(DatasetError, match=rf"ckplus\.zip: {name}: "):
        load_ckplus(tmp_path / "ckplus.zip")


def test_damaged_prepared_data_is_named(ckplus: Path, tmp_path: Path) -> None:
    path = tmp_path / "ckplus.npz"
    load_ckplus(ckplus).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DatasetError, match=r"ckplus\.npz is damaged: prepare it again"):
        FaceDataset.load(path)


def test_something_else_altogether(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no folder named anger"):
        load_ckplus(tmp_path)
    (tmp_path / "file.zip").write_text("no zip")
    with pytest.raises(DatasetError, match="neither a folder nor a zip"):
        load_ckplus(tmp_path / "file.zip")
    with pytest.raises(DatasetError, match="neither a folder nor a zip"):
        load_ckplus(tmp_path / "nowhere")
