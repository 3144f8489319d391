"""The page in the reader's own colours: what only a colour told is told otherwise."""

import cv2
import numpy as np
from playwright.sync_api import Locator, expect

from tests.browser import Open, try_example


def colours(place: Locator) -> set[tuple[int, ...]]:
    """The colours that fill at least a twentieth of what is seen there."""
    picture = cv2.imdecode(np.frombuffer(place.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    found, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(c.tolist()) for c in found[counts >= counts.sum() / 20]}


def test_nothing_vanishes_in_forced_colours(open_page: Open) -> None:
    page = open_page()
    for scheme in ("light", "dark"):
        page.emulate_media(forced_colors="active", color_scheme=scheme)  # type: ignore[arg-type]
        try_example(page, "Three faces")
        bar = page.locator("#artifacts .track:has(.fill.top)").first
        assert len(colours(bar)) >= 2
        marks = [colours(page.locator(f"#scatter .legend .color-{n}")) for n in (0, 1)]
        assert marks[0] != marks[1]
        first, second = (page.get_by_role("button", name=f"Face {n} of 3") for n in (1, 2))
        assert style(first, "border-top-color") != style(second, "border-top-color")
    here = page.get_by_role("link", name="Picture")
    there = page.get_by_role("link", name="Models")
    assert style(here, "text-decoration-line") == "underline"
    assert style(there, "text-decoration-line") == "none"
    expect(page.locator("#artifacts .badge")).to_have_css("border-top-style", "solid")


def style(place: Locator, name: str) -> str:
    return str(place.evaluate("(node, name) => getComputedStyle(node)[name]", name))
