"""What the page shows belongs to what is chosen, also when answers are slow, fail or cross."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import Open, give, refuse, try_example


def drawn(page: Page) -> bool:
    return page.locator("#map-0").evaluate(
        """canvas => {
          const blank = document.createElement("canvas");
          Object.assign(blank, { width: canvas.width, height: canvas.height });
          return canvas.toDataURL() !== blank.toDataURL();
        }"""
    )


def test_a_slow_map_never_shows_under_another_name(open_page: Open) -> None:
    page = open_page()
    try_example(page, "Portrait")
    held: list[Route] = []
    page.route("**/explain?*precision=float16*", lambda route: held.append(route))
    select = page.locator("#map-0-artifact")
    with page.expect_request("**/explain?*precision=float16*"):
        select.select_option("mobilenet/float16")
    assert not drawn(page)
    select.select_option("mobilenet/int8")
    name = re.compile("Occlusion map of mobilenet int8")
    expect(page.locator("#map-0")).to_have_attribute("aria-label", name)
    assert drawn(page)
    page.unroute("**/explain?*precision=float16*")
    select.select_option("mobilenet/float16")
    name = re.compile("Occlusion map of mobilenet float16")
    expect(page.locator("#map-0")).to_have_attribute("aria-label", name)


def test_a_map_that_fails_leaves_no_other(open_page: Open) -> None:
    page = open_page(refused=(503,))
    try_example(page, "Portrait")
    page.route("**/explain?*precision=float16*", refuse)
    page.locator("#map-0-artifact").select_option("mobilenet/float16")
    expect(page.locator("#sees-problem")).to_contain_text("Too many requests")
    assert not drawn(page)
    expect(page.locator("#map-0-caption")).to_be_empty()
    page.unroute("**/explain?*precision=float16*")
    page.locator("#sees-problem").get_by_role("button", name="Try again").click()
    expect(page.locator("#legend")).to_be_visible()
    assert drawn(page)


def test_back_leads_to_the_first_view(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("link", name="Models").click()
    expect(page.locator("#models")).to_be_visible()
    page.go_back()
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator("#models")).to_be_hidden()


def test_numbers_of_another_face_never_stand(open_page: Open, collage: bytes) -> None:
    page = open_page(refused=(503,))
    page.set_input_files("#file", {"name": "three.png", "mimeType": "image/png", "buffer": collage})
    expect(page.locator("#legend")).to_be_visible()
    page.route("**/compare?*face=2*", refuse)
    page.get_by_role("button", name="Face 3 of 3").click()
    problem = page.locator("#picture-problem")
    expect(problem).to_contain_text("Too many requests")
    expect(page.locator("#summary")).to_be_hidden()
    expect(page.locator("#results")).to_be_hidden()
    page.unroute("**/compare?*face=2*")
    with page.expect_response("**/compare?*") as answer:
        problem.get_by_role("button", name="Try again").click()
    assert "face=2" in answer.value.url
    expect(page.locator("#results")).to_be_visible()


@pytest.mark.parametrize("fails", [False, True])
def test_a_slow_example_never_replaces_a_newer_picture(
    open_page: Open, photo: bytes, fails: bool
) -> None:
    page = open_page()
    held: list[Route] = []
    page.route("**/web/examples/no-face.jpg", lambda route: held.append(route))
    with page.expect_request("**/web/examples/no-face.jpg"):
        page.get_by_role("button", name="No face").click()
    give(page, "paste", photo)
    expect(page.locator("#legend")).to_be_visible()
    (late,) = held
    late.abort() if fails else late.continue_()
    page.wait_for_timeout(500)
    expect(page.locator("#picture-problem")).to_be_hidden()
    expect(page.locator("#summary .verdict")).to_contain_text("happy")


@pytest.mark.parametrize("view", ["#live", "#models"])
@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_picture_may_be_given_to_the_first_view(
    open_page: Open, photo: bytes, view: str, event: str
) -> None:
    page = open_page(view)
    expect(page.locator(view)).to_be_visible()
    left = page.evaluate(
        """() => document.body.dispatchEvent(
          new DragEvent("dragover", { bubbles: true, cancelable: true }))"""
    )
    assert not left  # to the browser, which would open the file in place of the page
    give(page, event, photo)
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator(view)).to_be_hidden()
    expect(page.locator("#summary .verdict")).to_contain_text("happy")
