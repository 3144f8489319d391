import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from emotion.assets import find_detector_files
from emotion.decode import decode
from emotion.errors import DetectorMissingError
from emotion.faces import CaffeDetector
from emotion.geometry import Box
from tests.conftest import encode


def test_finds_the_face(detector: CaffeDetector, photo: bytes) -> None:
    (face,) = detector.detect(decode(photo))
    assert face.score > 0.99
    assert abs(face.box.x - 179) < 10
    assert abs(face.box.y - 57) < 10
    assert abs(face.box.height - 120) < 12


@pytest.mark.parametrize("name", ["coffee", "brick", "rocket", "coins"])
def test_finds_nothing_where_no_face_is(detector: CaffeDetector, name: str) -> None:
    picture = getattr(skimage.data, name)()
    if picture.ndim == 2:
        picture = np.dstack([picture] * 3)
    assert detector.detect(decode(encode(picture))) == []


def test_finds_several_largest_first(detector: CaffeDetector, collage: bytes) -> None:
    faces = detector.detect(decode(collage))
    areas = [face.box.area for face in faces]
    assert len(faces) == 3
    assert areas == sorted(areas, reverse=True)
    assert [face.box.x // 250 for face in faces] == [0, 1, 2]


def test_finds_a_face_that_exif_turns_upright(detector: CaffeDetector, photo: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    sideways = Image.open(io.BytesIO(photo)).transpose(Image.Transpose.ROTATE_90)
    sideways.save(buffer, "JPEG", exif=exif, quality=95)
    (turned,) = detector.detect(decode(buffer.getvalue()))
    (straight,) = detector.detect(decode(photo))
    assert abs(turned.box.x - straight.box.x) < 5
    assert abs(turned.box.y - straight.box.y) < 5


@pytest.mark.parametrize("side", [200, 288, 336, 380, 430])
def test_a_face_that_fills_the_picture_is_found_once(detector: CaffeDetector, side: int) -> None:
    face = cv2.resize(skimage.data.astronaut()[48:188, 156:296, ::-1], (side, side))
    canvas = np.full((480, 480, 3), 110, np.uint8)
    start = (480 - side) // 2
    canvas[start : start + side, start : start + side] = face
    (found,) = detector.detect(canvas)
    middle = found.box.x + found.box.width / 2, found.box.y + found.box.height / 2
    assert np.abs(np.array(middle) - 240).max() < 0.1 * side


def test_a_face_cut_by_the_edge_is_found(detector: CaffeDetector) -> None:
    cut = np.ascontiguousarray(skimage.data.astronaut()[78:, :252, ::-1])
    assert len(detector.detect(cut)) == 1


def test_threads_share_a_detector(detector: CaffeDetector, photo: bytes, collage: bytes) -> None:
    pictures = [decode(photo), decode(collage)] * 8
    alone = [detector.detect(picture) for picture in pictures[:2]] * 8
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(detector.detect, pictures)) == alone


def test_box_clipping() -> None:
    assert Box(-5, 10, 20, 100).clipped(50, 60) == Box(0, 10, 15, 50)
    assert Box(-30, 0, 20, 10).clipped(50, 60).area == 0


def test_a_configured_directory_must_hold_the_expected_files(tmp_path: Path) -> None:
    with pytest.raises(DetectorMissingError, match=r"deploy\.prototxt: No such file"):
        find_detector_files(configured=tmp_path)
    (tmp_path / "deploy.prototxt").write_text("name: 'another network'")
    with pytest.raises(DetectorMissingError, match="is not the expected file"):
        find_detector_files(configured=tmp_path)


def test_a_damaged_data_directory_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "face_detector").mkdir()
    (tmp_path / "face_detector" / "deploy.prototxt").write_text("damaged")
    assert len(find_detector_files(data_dir=tmp_path).caffemodel) == 10_666_211


def test_the_data_directory_serves(data_dir: Path) -> None:
    assert find_detector_files(configured=data_dir / "face_detector") == find_detector_files()
