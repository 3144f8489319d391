"""A camera that cannot be had or goes away is explained; one that nobody looks at is off."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import (
    ALLOWED,
    SLOW,
    SLOW_CAMERA,
    Open,
    Watch,
    camera,
    launched,
    write_camera,
)
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


FIRST_REFUSED = """if (navigator.mediaDevices) {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  let refusal = new DOMException("Permission denied", "NotAllowedError");
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const now = refusal;
    refusal = null;
    if (now) throw now;
    return open(wanted);
  };
}"""


def opened(open_page: Open, view: str, script: str = SLOW_CAMERA) -> Page:
    page = open_page(view)
    page.add_init_script(script)
    page.reload()
    return page


def goes_away(page: Page, video: str) -> None:
    """As when its cable is pulled, which the stand-in for a camera has not."""
    page.locator(video).evaluate(
        """video => {
          const [track] = video.srcObject.getTracks();
          track.stop();
          track.dispatchEvent(new Event("ended"));
        }"""
    )


def only_shown(page: Page, video: str, number: int) -> None:
    """Wait until every prompt is answered; of the streams this one is on, and shown."""
    page.wait_for_function("streams.length === allow.length && streams.every(Boolean)")
    page.wait_for_function(
        "number => streams.every((s, n) => s.active === (n === number))", arg=number
    )
    assert page.locator(video).evaluate("(video, n) => video.srcObject === streams[n]", number)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_double_click_leaves_one_camera_on(open_page: Open, order: tuple[int, int]) -> None:
    page = opened(open_page, "")
    page.get_by_role("button", name="Use the camera").dblclick()
    for turn in order:
        page.evaluate("turn => allow[turn]()", turn)
        page.wait_for_function("turn => streams[turn]", arg=turn)
    only_shown(page, "#viewfinder", 1)
    expect(page.get_by_role("button", name="Take the picture")).to_be_focused()
    page.get_by_role("button", name="Cancel").click()
    assert page.evaluate("streams.every((stream) => !stream.active)")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_live_is_cancelled_while_the_browser_asks(open_page: Open, order: tuple[int, int]) -> None:
    page = opened(open_page, "#live")
    start = page.get_by_role("button", name="Start the camera")
    progress = page.locator("#live-progress")
    start.click()
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    expect(progress).to_be_visible()
    cancel.click()
    expect(progress).to_be_hidden()
    start.click()
    expect(cancel).to_be_visible()
    for turn in order:
        page.evaluate("turn => allow[turn]()", turn)
        page.wait_for_function("turn => streams[turn]", arg=turn)
    only_shown(page, "#live-video", 1)
    expect(page.locator("#live-boxes .face")).to_contain_text("happy")
    page.get_by_role("button", name="Stop the camera").click()
    assert page.evaluate("streams.every((stream) => !stream.active)")


@pytest.mark.parametrize("away", [True, False])
def test_live_shows_nothing_of_a_camera_that_is_off(open_page: Open, away: bool) -> None:
    page = open_page("#live")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live-boxes .face")).to_contain_text("happy")
    if away:
        goes_away(page, "#live-video")
        expect(page.locator("#live-problem")).to_contain_text("The camera went away")
    else:
        page.get_by_role("button", name="Stop the camera").click()
    expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()
    for emptied in ("#live-boxes", "#live-bars"):
        expect(page.locator(emptied)).to_be_empty()
    expect(page.locator("#live-numbers dd")).to_have_text([*4 * ["\u2013"], "0"])
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live-boxes .face")).to_contain_text("happy")
    expect(page.locator("#live-problem")).to_be_hidden()


def test_a_viewfinder_without_its_camera_closes(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("button", name="Take the picture")).to_be_focused()
    goes_away(page, "#viewfinder")
    expect(page.locator("#picture-problem")).to_contain_text("The camera went away")
    expect(page.locator("#capture")).to_be_hidden()
    expect(page.get_by_role("button", name="Use the camera")).to_be_focused()


def test_a_refusal_goes_once_the_camera_is_allowed(open_page: Open) -> None:
    page = opened(open_page, "", FIRST_REFUSED)
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#picture-problem")).to_contain_text("was not allowed")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("button", name="Take the picture")).to_be_visible()
    expect(page.locator("#picture-problem")).to_be_hidden()


def test_the_link_to_the_content_leaves_the_camera_on(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("button", name="Take the picture")).to_be_visible()
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.wait_for_timeout(200)
    expect(page.get_by_role("button", name="Take the picture")).to_be_visible()
    page.get_by_role("link", name="Models").click()
    page.wait_for_function("document.querySelector('#viewfinder').srcObject === null")
