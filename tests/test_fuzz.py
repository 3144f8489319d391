"""A short round of ``make fuzz``, and all that it ever found."""

import io
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzz import CORPUS, PATHS, fuzz
from benchmarks.headers import edit_field
from benchmarks.mutants import seeds
from tests.conftest import Server


def test_mutated_images_never_surprise_the_service(server: Server) -> None:
    report = fuzz(server, 400, seed=1, warm_up=1)
    assert report.found == []
    assert report.statuses.keys() <= {"200", "400", "413", "415", "422"}
    assert report.statuses["200"] > 20  # it does reach the models
    assert report.statuses["400"] > 50
    assert sum(report.statuses.values()) == 400
    assert report.memory_growth < 0.3  # `make fuzz` has the promised 0.1, over 20,000


def test_what_is_mutated_is_sound(http: httpx.Client, photo: bytes) -> None:
    for seed in seeds(photo):
        answer = http.post("/predict?no_face=whole", content=seed)
        assert answer.status_code == 200, answer.text


def test_headers_of_every_format_are_edited_where_they_are_read(photo: bytes) -> None:
    """Pillow sees other sizes or modes than the seeds' in what is still of their format."""
    seen: dict[str | None, set[object]] = {}
    for seed in seeds(photo):
        for number in range(60):
            edited = bytes(edit_field(bytearray(seed), np.random.default_rng(number)))
            with suppress(Exception), Image.open(io.BytesIO(edited)) as image:
                seen.setdefault(image.format, set()).add((image.size, image.mode))
    assert seen.keys() == {"JPEG", "PNG", "WEBP", "BMP"}
    assert min(map(len, seen.values())) >= 5, seen


@pytest.mark.parametrize("found", sorted(CORPUS.glob("*")), ids=lambda path: path.name[:12])
def test_what_was_found_stays_fixed(http: httpx.Client, found: Path) -> None:
    for path in (*PATHS, "/predict", "/compare"):
        answer = http.post(path, content=found.read_bytes())
        assert answer.status_code < 500, answer.text
