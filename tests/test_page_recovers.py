"""The page after a failure: views load again, bad keys are refused, focus and layout hold."""

import hashlib
import re

from playwright.sync_api import Request, Route, expect

from tests.browser import Open, give, refuse, try_example
from tests.conftest import StartServer


def test_models_load_again(open_page: Open) -> None:
    page = open_page(refused=(503, 503))
    page.route("**/reports", refuse)
    page.get_by_role("link", name="Models").click()
    problem = page.locator("#models-problem")
    expect(problem).to_be_visible()
    page.get_by_role("link", name="Live").click()
    with page.expect_response("**/reports"):
        page.get_by_role("link", name="Models").click()  # entering asks anew
    expect(problem).to_be_visible()
    page.unroute("**/reports")
    problem.get_by_role("button", name="Try again").click()
    expect(page.locator("#store tbody tr").first).to_be_visible()
    expect(problem).to_be_hidden()


def test_models_need_one_request_at_a_time(open_page: Open) -> None:
    page = open_page("#live", refused=(429,))
    expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()
    held: list[Route] = []
    page.route("**/reports/*", lambda route: held.append(route))
    with page.expect_request("**/reports/*"):
        page.get_by_role("link", name="Models").click()
    later: list[Request] = []
    page.on("request", lambda request: later.append(request))
    page.wait_for_timeout(700)
    assert later == []  # while one is under way, no other is sent
    refuse(held[0], status=429)
    page.unroute("**/reports/*")
    expect(page.locator("#cards .prose table").first).to_be_visible()
    for plot in page.locator("#plots img").all():
        expect(plot).to_have_attribute("src", re.compile("^blob:"))


def test_a_key_that_no_header_carries_is_refused(
    open_page: Open, start_server: StartServer
) -> None:
    given = hashlib.sha256(b"open sesame").hexdigest()
    with start_server(preload="none", api_keys=f"page:{given}") as guarded:
        page = open_page(url=guarded.url, refused=(401, 401))
        key = page.get_by_label("API key")
        key.fill("schlüssel 🔑")
        page.get_by_role("button", name="Use this key").click()
        assert key.evaluate("input => input.validity.patternMismatch")
        page.evaluate("sessionStorage.setItem('emotion-service-key', 'schlüssel 🔑')")
        page.reload()
        expect(key).to_be_visible()
        key.fill("open sesame")
        with page.expect_navigation():  # the page starts anew with the key
            page.get_by_role("button", name="Use this key").click()
        try_example(page, "Portrait")


def test_a_dropped_text_is_answered_in_sight(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("link", name="Models").click()
    page.evaluate(
        """() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.setData("text/plain", "a link");
          document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer }));
        }"""
    )
    expect(page.locator("#picture-problem")).to_contain_text("not a file")


def test_the_focus_stays_where_the_work_is(open_page: Open) -> None:
    page = open_page(refused=(422,))
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").press("Enter")
    expect(page.get_by_role("button", name="Use the camera")).to_be_focused()
    page.get_by_role("button", name="No face").click()
    page.get_by_role("button", name="Take the whole picture").press("Enter")
    expect(page.locator("#results")).to_be_visible()
    expect(page.locator(".answer")).to_be_focused()


def test_nothing_sticks_out_at_320_pixels(open_page: Open, photo: bytes) -> None:
    page = open_page()
    page.set_viewport_size({"width": 320, "height": 700})
    give(page, "paste", photo)
    expect(page.locator("#legend")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for axis in page.locator(".difference .axis").all():
        box = axis.bounding_box()
        assert box
        assert box["width"] > 30


def test_boxes_lie_on_the_video_on_a_phone(open_page: Open) -> None:
    page = open_page("#live")
    page.set_viewport_size({"width": 240, "height": 600})
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live-boxes .face")).to_be_attached()
    video, frame = (page.locator(f"#live {n}").bounding_box() for n in ("video", ".live-frame"))
    assert video
    assert video == frame
