"""The page for everybody: light and dark, wide and narrow, by keyboard and for screen readers."""

import itertools
import json
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from emotion.classifier import CHECKOUT_STORE
from emotion.store import ModelStore
from tests.browser import DESKTOP, PHONE, Open, try_example
from tests.conftest import ROOT, Server

SHOWN = "artifacts.json"  # beside the screenshots: which artifacts they show
IMAGES = ROOT / "docs" / "images"


def versions() -> dict[str, str]:
    return {record.name: record.version for record in ModelStore(CHECKOUT_STORE).records}


@pytest.mark.skipif(not (IMAGES / SHOWN).exists(), reason="it is written with the next screenshots")
def test_the_screenshots_are_of_the_artifacts_in_the_store() -> None:
    shown = json.loads((IMAGES / SHOWN).read_text())
    assert shown == versions(), "SCREENSHOTS=docs/images pytest tests/test_page_accessible.py"


def test_accessible_in_every_state(open_page: Open, server: Server) -> None:
    page = open_page(url=server.url, refused=(422,))
    if folder := os.environ.get("SCREENSHOTS"):
        (Path(folder) / SHOWN).write_text(json.dumps(versions(), indent=1) + "\n")
    check(page)
    try_example(page, "Three faces")
    check(page, name="page")
    page.get_by_role("button", name="No face").click()
    expect(page.locator("#picture-problem")).to_be_visible()
    check(page)
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live-bars .fill").first).to_be_attached()
    page.get_by_role("button", name="Stop the camera").click()
    check(page)
    page.get_by_role("link", name="Models").click()
    expect(page.locator("#cards .prose table").first).to_be_visible()
    check(page)


def check(page: Page, name: str = "") -> None:
    """Light and dark, wide and narrow: no serious finding of axe-core, nothing sticks out."""
    for size, scheme in itertools.product((DESKTOP, PHONE), ("light", "dark")):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = Axe().run(page).response
        assert len(found["passes"]) > 10
        bad = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
        assert bad == [], json.dumps(bad, indent=1)[:4000]
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
        if name:
            picture(page, f"{name}-{'phone' if size == PHONE else 'desktop'}-{scheme}")


def picture(page: Page, name: str) -> None:
    """Write a screenshot for the docs, where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        shown = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": 1120}
        page.screenshot(
            path=Path(folder) / f"{name}.jpg", quality=80, clip=shown, full_page=True, type="jpeg"
        )


def test_the_first_tab_skips_to_the_content(open_page: Open) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("#picture")).to_be_visible()
