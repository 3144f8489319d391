"""The page for everybody: light and dark, wide and narrow, by keyboard and for screen readers."""

import itertools
import json
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from emotion.classifier import CHECKOUT_STORE
from emotion.store import ModelStore
from tests.browser import DESKTOP, PHONE, Open, problem, refuse, try_example
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
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("button", name="Take the picture")).to_be_focused()
    check(page)
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live-bars .fill").first).to_be_attached()
    check(page)
    page.get_by_role("button", name="Stop the camera").click()
    check(page)
    page.get_by_role("link", name="Models").click()
    expect(page.locator("#cards .prose table").first).to_be_visible()
    check(page)
    page.locator("#texts summary").first.click()
    page.locator("#cards summary").nth(1).click()
    for text in (page.locator("#texts details").first, page.locator("#cards details").nth(1)):
        expect(text.locator(".prose table").first).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)
    check(page, once=True)


@pytest.mark.parametrize("view", ["picture", "live", "models"])
def test_a_problem_is_accessible_in_every_view(open_page: Open, view: str) -> None:
    page = open_page(refused=(401,))
    page.route("**/models", no_key)
    page.goto(f"{page.url}#{view}")
    page.reload()
    expect(page.locator(f"#{view}-problem").get_by_label("API key")).to_be_visible()
    check(page, once=True)


def test_the_plots_problems_are_accessible(open_page: Open) -> None:
    page = open_page(refused=(503, 503))
    page.route("**/reports/*.png", refuse, times=2)
    page.get_by_role("link", name="Models").click()
    expect(page.locator("#plots").get_by_role("alert")).to_have_count(2)
    expect(page.locator("#cards .prose table").first).to_be_visible()
    check(page, once=True)


def no_key(route: Route) -> None:
    problem(route, status=401, name="unauthorized", detail="Give a key.")


def check(page: Page, name: str = "", *, once: bool = False) -> None:
    """Light and dark, wide and narrow: no serious finding of axe-core, nothing sticks out.

    ``once`` is for a state that differs from one so checked by little: narrow and dark alone.
    """
    kinds = [(PHONE, "dark")] if once else itertools.product((DESKTOP, PHONE), ("light", "dark"))
    for size, scheme in kinds:
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
