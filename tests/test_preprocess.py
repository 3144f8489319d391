import time
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.decode import decode
from emotion.geometry import Box
from emotion.preprocess import PIPELINE, face_pixels, face_tensor
from tests.conftest import encode

IMAGE = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
FACE = Box(179, 57, 92, 120)


def test_every_parameter_changes_the_fingerprint() -> None:
    changed = {
        replace(
            PIPELINE, **{name: f"{value}x" if isinstance(value, str) else value + 1}
        ).fingerprint
        for name, value in vars(PIPELINE).items()
    }
    assert len(changed | {PIPELINE.fingerprint}) == len(vars(PIPELINE)) + 1


def test_these_parameters_give_these_pixels() -> None:
    """Changing what runs without changing the record would be skew that no fingerprint shows."""
    assert PIPELINE.fingerprint == "2b19a2e4852a6541"
    blocks = face_pixels(IMAGE, FACE).reshape(8, 16, 8, 16).mean(axis=(1, 3))
    expected = [
        [156, 181, 152, 151, 190, 165, 119, 108],
        [117, 160, 164, 169, 148, 116, 66, 103],
        [91, 172, 141, 196, 193, 154, 133, 57],
        [80, 199, 189, 207, 154, 179, 150, 74],
        [190, 198, 188, 209, 149, 219, 179, 81],
        [243, 193, 175, 199, 131, 165, 161, 228],
        [98, 170, 225, 206, 151, 178, 151, 226],
        [21, 148, 203, 229, 198, 119, 210, 229],
    ]
    assert np.abs(blocks - expected).max() < 1.5


def test_a_whole_ckplus_sized_frame_passes_unscaled_to_equalisation() -> None:
    frame = IMAGE[60:180:2, 170:290:2][:48, :48]
    direct = face_pixels(frame, None)
    in_a_box = face_pixels(frame, Box(2, -1, 44, round(48 / PIPELINE.crop_scale)))
    assert direct.shape == (128, 128)
    assert np.array_equal(direct, in_a_box)


def test_scale_and_position_of_a_face_do_not_matter() -> None:
    reference = face_pixels(IMAGE, FACE).astype(int)
    canvas = np.full((900, 1200, 3), 90, np.uint8)
    canvas[300:812, 500:1012] = IMAGE
    moved = Box(FACE.x + 500, FACE.y + 300, FACE.width, FACE.height)
    assert np.array_equal(face_pixels(canvas, moved), reference)
    doubled = IMAGE.repeat(2, axis=0).repeat(2, axis=1)
    twice = Box(2 * FACE.x, 2 * FACE.y, 2 * FACE.width, 2 * FACE.height)
    assert np.abs(face_pixels(doubled, twice) - reference).mean() < 2


def test_a_face_over_the_edge_is_continued_by_its_edge() -> None:
    half = IMAGE[:, 225:]
    face = face_pixels(half, Box(FACE.x - 225, FACE.y, FACE.width, FACE.height))
    middle = face[:, :50].astype(int)
    assert np.abs(np.diff(middle, axis=1)).mean() < 4  # repeated columns, CLAHE apart
    assert face[:, 70:].std() > 20


@settings(max_examples=200, deadline=None)
@given(
    box=st.builds(
        Box,
        st.integers(-300, 700),
        st.integers(-300, 700),
        st.integers(1, 900),
        st.integers(1, 900),
    )
)
def test_any_box_gives_a_face(box: Box) -> None:
    assert face_pixels(IMAGE, box).shape == (128, 128)


@pytest.mark.parametrize("shape", [(16, 500_000, 3), (500_000, 16, 3)])
def test_a_strip_does_not_become_a_huge_square(shape: tuple[int, int, int]) -> None:
    start = time.thread_time()
    assert face_pixels(np.zeros(shape, np.uint8), None).shape == (128, 128)
    assert time.thread_time() - start < 1


@pytest.mark.parametrize("size", [48, 64, 96, 112, 128, 224])
def test_tensor_is_grey_in_every_channel(size: int) -> None:
    tensor = face_tensor(face_pixels(IMAGE, FACE), size)
    assert tensor.shape == (size, size, 3)
    assert tensor.dtype == np.uint8
    assert (tensor == tensor[..., :1]).all()
    assert tensor.std() > 30


def test_equalisation_evens_out_lighting() -> None:
    dark = (IMAGE * 0.4).astype(np.uint8)
    bright, dim = (face_pixels(picture, FACE).astype(int) for picture in (IMAGE, dark))
    assert dim.std() > 0.5 * bright.std()  # 0.4 without equalisation
    assert np.corrcoef(bright.ravel(), dim.ravel())[0, 1] > 0.9


def test_colour_is_dropped_as_opencv_weighs_it() -> None:
    colour = decode(encode(np.dstack([np.full((48, 48), v, np.uint8) for v in (200, 100, 50)])))
    grey = decode(
        encode(np.full((48, 48), round(0.299 * 200 + 0.587 * 100 + 0.114 * 50), np.uint8))
    )
    assert np.array_equal(face_pixels(colour, None), face_pixels(grey, None))
