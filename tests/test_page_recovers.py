"""The page after a failure: views load again, bad keys are refused, focus and layout hold."""

import hashlib
import re

import httpx
from playwright.sync_api import Request, Route, expect

from tests.browser import Open, give, held, refuse, try_example
from tests.conftest import Server, StartServer

# What Chromium does where the user blocks the site's data.
BLOCKED = """Object.defineProperty(window, "sessionStorage", {
  get() { throw new DOMException("Access is denied for this document", "SecurityError"); },
})"""


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


def test_each_plot_is_tried_again_by_itself(open_page: Open, small_server: Server) -> None:
    names = [file["name"] for file in httpx.get(f"{small_server.url}/reports").json()]
    plots = [name for name in names if name.endswith(".png")]
    page = open_page(refused=(503, 503))
    for name in plots[:2]:
        page.route(f"**/reports/{name}", refuse)
    page.get_by_role("link", name="Models").click()
    figures = page.locator("#plots figure")
    first, second = (figures.nth(number).get_by_role("alert") for number in (0, 1))
    for problem in (first, second):
        expect(problem).to_contain_text("Too many requests")
    expect(page.locator("#models-problem")).to_be_hidden()
    page.unroute(f"**/reports/{plots[0]}")
    with held(page, f"**/reports/{plots[0]}"):
        first.get_by_role("button", name="Try again").click()
        expect(figures.first.get_by_role("progressbar")).to_be_visible()
    expect(figures.first.locator("img")).to_have_attribute("src", re.compile("^blob:"))
    expect(first).to_be_hidden()
    expect(second).to_be_visible()
    page.unroute(f"**/reports/{plots[1]}")
    second.get_by_role("button", name="Try again").click()
    expect(figures.nth(1).locator("img")).to_have_attribute("src", re.compile("^blob:"))
    expect(second).to_be_hidden()


def test_a_download_is_tried_again_where_it_failed(open_page: Open) -> None:
    page = open_page("#models", refused=(503,))
    button = page.get_by_role("button", name="report.json", exact=True)
    page.route("**/reports/report.json", refuse)
    button.click()
    problem = page.locator("#texts").get_by_role("alert")
    expect(problem).to_contain_text("Too many requests")
    expect(page.locator("#models-problem")).to_be_hidden()
    buttons = page.locator("#texts p").filter(has=button)
    below, above = problem.bounding_box(), buttons.bounding_box()
    assert above
    assert below
    assert 0 <= below["y"] - (above["y"] + above["height"]) < 50
    page.unroute("**/reports/report.json")
    with page.expect_download() as download, held(page, "**/reports/report.json"):
        problem.get_by_role("button", name="Try again").click()
        expect(page.locator("#texts").get_by_role("progressbar")).to_be_visible()
    assert download.value.suggested_filename == "report.json"
    expect(problem).to_be_hidden()


def test_what_a_text_shows_and_links_is_tried_again_in_it(open_page: Open) -> None:
    page = open_page("#models", refused=(503, 503))
    expect(page.locator("#plots img[src]").first).to_be_visible()
    expect(page.locator("#plots img:not([src])")).to_have_count(0)
    html = '<p>Of <a href="report.json">these</a>: <img src="tradeoff_random.png" alt=""></p>'
    page.route("**/web/reports/report.md", lambda route: route.fulfill(body=html))
    page.route(re.compile(r"/reports/(report\.json|tradeoff_random\.png)"), refuse, times=2)
    text = page.locator("#texts details[data-report='report.md']")
    text.locator("summary").click()
    problem = text.locator(".prose").get_by_role("alert").filter(has_text="Too many requests")
    expect(problem).to_have_count(1)  # the picture's
    text.get_by_role("button", name="these").click()
    expect(problem).to_have_count(2)
    with page.expect_download():
        problem.first.get_by_role("button", name="Try again").click()
    expect(problem).to_have_count(1)
    problem.get_by_role("button", name="Try again").click()
    expect(text.locator("img")).to_have_attribute("src", re.compile("^blob:"))
    expect(problem).to_have_count(0)


def test_the_page_works_without_the_sites_data(open_page: Open, start_server: StartServer) -> None:
    given = hashlib.sha256(b"open sesame").hexdigest()
    with start_server(preload="none", api_keys=f"page:{given}") as guarded:
        page = open_page(url=guarded.url, refused=(401, 401, 401))
        page.add_init_script(BLOCKED)
        page.reload()
        problem = page.locator("#picture-problem")
        for key in ("close sesame", "open sesame"):
            problem.get_by_label("API key").fill(key)
            with page.expect_response("**/models"):
                problem.get_by_role("button", name="Use this key").click()
        expect(problem).to_be_hidden()
        try_example(page, "Portrait")


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
