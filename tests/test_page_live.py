"""Live mode: each camera frame is sent once, and waiting is called waiting."""

import json
import time

from playwright.sync_api import Page, Route, expect

from tests.browser import SLOW, Open, refuse


def numbers(page: Page) -> dict[str, str]:
    rows = page.locator("#live-numbers div").all()
    return {row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in rows}


def start(page: Page) -> None:
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live-boxes .face")).to_contain_text("happy")


def test_a_frame_is_sent_once(open_page: Open) -> None:
    page = open_page("#live")
    with page.expect_response("**/predict?*") as answer:
        start(page)
    body = answer.value.body()

    def at_once(route: Route) -> None:
        route.fulfill(status=200, content_type="application/json", body=body)

    page.route("**/predict?*", at_once)  # a service faster than any camera
    sent, shown = page.locator("#live-video").evaluate(
        """video => new Promise((resolve) => {
          const send = window.fetch;
          let sent = 0;
          window.fetch = (...request) => {
            sent += 1;
            return send(...request);
          };
          let first;
          const count = (_, { presentedFrames }) => {
            first ??= presentedFrames;
            if (presentedFrames - first > 60) resolve([sent, presentedFrames - first]);
            else video.requestVideoFrameCallback(count);
          };
          video.requestVideoFrameCallback(count);
        })"""
    )
    assert 5 < sent <= shown + 3


def test_what_is_dropped_is_counted(open_page: Open) -> None:
    page = open_page("#live")
    start(page)
    before = int(numbers(page)["Frames dropped"])

    def slowly(route: Route) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/predict?*", slowly)
    page.wait_for_function(
        """least => {
          const row = document.querySelector("#live-numbers div:last-child dd");
          return Number(row.textContent) > least;
        }""",
        arg=before + 20,
    )


def test_what_does_not_pass_by_waiting_stops_and_is_said(open_page: Open) -> None:
    page = open_page("#live", refused=(503,))
    start(page)
    problem = {
        "type": "urn:problem-type:emotion:artifact-unavailable",
        "title": "The artifact cannot run",
        "status": 503,
        "detail": "mobilenet/int8 cannot be read: publish it again.",
        "request_id": "1",
    }
    page.route(
        "**/predict?*",
        lambda route: route.fulfill(
            status=503,
            headers={"retry-after": "1", "content-type": "application/problem+json"},
            body=json.dumps(problem),
        ),
        times=1,
    )
    expect(page.locator("#live-problem")).to_contain_text("publish it again")
    expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()


# What the numbers were is kept in the page: a test on a busy machine looks too late for some.
KEEP_NUMBERS = """() => {
  const numbers = document.querySelector("#live-numbers");
  const now = () => Array.from(numbers.querySelectorAll("dd"), (dd) => dd.textContent);
  window.kept = [];
  new MutationObserver(() => kept.push(now()))
    .observe(numbers, { childList: true, subtree: true, characterData: true });
}"""


def test_a_rate_limit_is_waited_for_and_said(open_page: Open) -> None:
    page = open_page("#live", refused=(429,))
    start(page)
    page.evaluate(KEEP_NUMBERS)
    page.route("**/predict?*", lambda route: refuse(route, status=429, after="3"), times=1)
    page.wait_for_function("() => kept.some(([rate]) => rate === 'waiting, 1 s')", timeout=SLOW)
    expect(page.locator("#live-boxes .face")).to_contain_text("happy")  # it goes on by itself
    waits = [row for row in page.evaluate("kept") if row[0].startswith("waiting")]
    assert list(dict.fromkeys(row[0] for row in waits)) == [f"waiting, {s} s" for s in (3, 2, 1)]
    there_and_back = list(numbers(page)).index("There and back, ms")
    assert not any(c.isdigit() for row in waits for c in row[there_and_back])


def test_without_artifacts_nothing_starts(open_page: Open) -> None:
    page = open_page(refused=(503,))
    page.route("**/models", refuse)
    page.goto(f"{page.url}#live")
    page.reload()
    expect(page.locator("#live-problem")).to_contain_text("Too many requests")
    toggle = page.get_by_role("button", name="Start the camera")
    expect(toggle).to_be_disabled()
    page.unroute("**/models")
    page.locator("#live-problem").get_by_role("button", name="Try again").click()
    expect(toggle).to_be_enabled()
    start(page)
