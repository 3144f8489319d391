"""Faces from the web: FER2013 and FER+."""

import contextlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion.labels import EMOTIONS
from tests.synthetic import write_ferplus
from training.datasets import DatasetError
from training.web import FERPLUS_CLASSES, ckplus_of_ferplus, load_fer2013, load_ferplus

GOOD = 'fer0000000.png,"(0, 0, 48, 48)",0,9,1,0,0,0,0,0,0,0'


def test_fer2013_itself(data_dir: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.zip"
    with zipfile.ZipFile(data_dir / "fer2013.zip") as full, zipfile.ZipFile(few, "w") as part:
        for name in full.namelist()[::300]:
            part.writestr(name, full.read(name))
    dataset = load_fer2013(few, "train")
    assert len(dataset) > 50
    assert set(dataset.labels) <= set(range(7))


def test_ferplus_is_what_people_said(tmp_path: Path) -> None:
    faces = load_ferplus(write_ferplus(tmp_path / "ferplus"), "Train")
    assert len(faces) == 24  # of 30; most people could not name, or saw no face in, the others
    assert np.allclose(faces.shares.sum(axis=1), 1)
    by_name = dict(zip(faces.names, faces.shares, strict=True))
    fear = dict(zip(FERPLUS_CLASSES, by_name["fear/fer0000006.png"], strict=True))
    assert fear["fear"] == pytest.approx(2 / 3)
    assert fear["contempt"] == pytest.approx(1 / 3)
    contempt = by_name["contempt/fer0000007.png"]  # the others' votes were for "unknown"
    assert contempt[FERPLUS_CLASSES.index("contempt")] == 1
    neutral = by_name["neutral/fer0000000.png"]  # 7 votes, and 3 for happy
    assert neutral[FERPLUS_CLASSES.index("neutral")] == pytest.approx(0.7)


def test_ferplus_without_its_neutral_faces(tmp_path: Path) -> None:
    faces = load_ferplus(write_ferplus(tmp_path / "ferplus"), "Train")
    named = ckplus_of_ferplus(faces)
    assert len(named) == 21
    assert named.targets(len(EMOTIONS)).shape == (21, 7)
    assert np.allclose(named.shares.sum(axis=1), 1)
    with pytest.raises(ValueError, match="7 classes were voted on, not 8"):
        named.targets(8)


def test_two_parts_joined(tmp_path: Path) -> None:
    source = write_ferplus(tmp_path / "ferplus")
    one, other = load_ferplus(source, "Train"), load_ferplus(source, "Valid")
    both = one.and_then(other)
    assert len(both) == len(one) + len(other) == len(both.targets(8))
    assert both.fingerprint == one.fingerprint + other.fingerprint
    assert np.array_equal(both.part(np.arange(len(one))).shares, one.shares)


def test_votes_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    one = load_ferplus(write_ferplus(tmp_path / "one", [GOOD]), "Train")
    other = load_ferplus(write_ferplus(tmp_path / "other", [GOOD.replace("9,1", "7,3")]), "Train")
    assert np.array_equal(one.labels, other.labels)
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace("9", "nine"), r"label\.csv: invalid literal.*nine"),
        (GOOD.removesuffix(",0"), "does not have 10 counts of votes"),
        (GOOD.replace("9", "-9"), "does not have 10 counts of votes"),
        ("", "does not have 10 counts of votes"),
        (GOOD.replace("0000000", "9999999"), "happy/fer9999999.png"),
    ],
)
def test_a_bad_line_of_ferplus_is_named(tmp_path: Path, line: str, message: str) -> None:
    source = write_ferplus(tmp_path / "ferplus", [GOOD, line])
    with pytest.raises(DatasetError, match=message):
        load_ferplus(source, "Train")


def test_what_ferplus_lacks_is_named(tmp_path: Path) -> None:
    source = write_ferplus(tmp_path / "ferplus", [])
    with pytest.raises(DatasetError, match=r"FER2013Train/label\.csv names no face"):
        load_ferplus(source, "Train")
    (source / "data" / "FER2013Train" / "label.csv").unlink()
    with pytest.raises(DatasetError, match=r"FER2013Train/label\.csv is missing"):
        load_ferplus(source, "Train")
    with pytest.raises(DatasetError, match="no folder named FER2013Test"):
        load_ferplus(source / "data" / "FER2013Train", "Test")


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=5))
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    source = write_ferplus(tmp_path_factory.mktemp("any") / "ferplus", [GOOD, *lines])
    with contextlib.suppress(DatasetError):
        assert len(load_ferplus(source, "Train")) >= 1
