"""The page on a narrow screen: what belongs together stands together, what is beyond shows."""

import cv2
import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.browser import PHONE, SLOW, Open, try_example

SHADED = 8  # grey levels


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_both_maps_are_in_one_row(open_page: Open, width: int) -> None:
    page = open_page()
    page.set_viewport_size({"width": width, "height": 860})
    try_example(page, "Portrait")
    first, second = (page.locator(f"#map-{side}").bounding_box() for side in (0, 1))
    assert first
    assert second
    assert first["y"] == pytest.approx(second["y"], abs=1)
    assert first["x"] + first["width"] < second["x"]


def test_an_edge_beyond_which_the_table_goes_on_is_shaded(open_page: Open) -> None:
    page = open_page()
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    try_example(page, "Portrait")
    scroll = page.get_by_role("group", name="Table of the artifacts")
    assert shade(scroll) > SHADED
    scroll.evaluate("place => { place.scrollLeft = place.scrollWidth; }")
    expect(page.get_by_role("button", name="surprise")).to_be_in_viewport(timeout=SLOW)
    assert shade(scroll) < SHADED
    page.set_viewport_size({"width": 1280, "height": 860})
    assert shade(scroll) < SHADED  # there is nothing beyond


def shade(place: Locator) -> float:
    """By how much the right edge is darker than what is beside it, text aside."""
    picture = cv2.imdecode(np.frombuffer(place.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    strip = picture[4:60].astype(float).max(axis=0)
    return float(strip[-40:-25].mean() - strip[-6:-2].mean())
