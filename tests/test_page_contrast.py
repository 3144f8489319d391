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


def test_the_sort_arrows_are_seen(open_page: Open) -> None:
    page = open_page()
    try_example(page, "Portrait")
    button = page.get_by_role("button", name="Latency, ms")  # not sorted by
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        ink, opacity, ground = button.evaluate(
            """button => {
              const numbers = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map(Number);
              const { color, opacity } = getComputedStyle(button, "::after");
              const ground = getComputedStyle(button.closest(".scroll")).backgroundColor;
              return [numbers(color), Number(opacity), numbers(ground)];
            }"""
        )
        seen = [opacity * i + (1 - opacity) * g for i, g in zip(ink, ground, strict=True)]
        assert contrast(seen, ground) >= 3


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2.2's contrast ratio of two colours of 0..255."""
    low, high = sorted(luminance(np.array(colour) / 255) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
