"""A camera that cannot be had: the page says why, and what to do."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import ALLOWED, SLOW, Watch, camera, launched, write_camera
from tests.conftest import Server

# What Chromium rejects with where another program has the camera; no fake device can be taken.
BUSY = """navigator.mediaDevices.getUserMedia = () => Promise.reject(
  new DOMException("Could not start video source", "NotReadableError"))"""


@pytest.mark.parametrize(
    ("has", "allowed", "script", "title", "advice"),
    [
        (True, f"{ALLOWED}=deny", "", "was not allowed", "Allow it for this page"),
        (False, ALLOWED, "", "There is no camera", "choose a picture instead"),
        (True, ALLOWED, BUSY, "The camera is busy", "Close the program that uses it"),
    ],
    ids=["denied", "none", "busy"],
)
def test_a_camera_that_is_refused_is_explained(
    small_server: Server,
    photo: bytes,
    tmp_path: Path,
    has: bool,
    allowed: str,
    script: str,
    title: str,
    advice: str,
) -> None:
    write_camera(tmp_path / "face.y4m", photo)
    with launched(allowed, *(camera(tmp_path / "face.y4m") if has else ())) as browser:
        page = browser.new_page()
        page.set_default_timeout(SLOW)
        page.add_init_script(script)
        watch = Watch(page, small_server.url)
        page.goto(small_server.url)
        page.get_by_role("button", name="Use the camera").click()
        problem = page.locator("#picture-problem")
        expect(problem).to_contain_text(title)
        expect(problem).to_contain_text(advice)
        expect(page.locator("#capture")).to_be_hidden()
        page.get_by_role("button", name="Portrait").click()  # a picture does instead
        expect(page.locator("#summary .verdict")).to_contain_text("happy")
        expect(problem).to_be_hidden()
        page.get_by_role("link", name="Live").click()
        page.get_by_role("button", name="Start the camera").click()
        expect(page.locator("#live-problem")).to_contain_text(title)
        expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()
        assert watch.complaints == []
