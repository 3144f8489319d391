"""Whatever takes more than half a second says what it waits for."""

from playwright.sync_api import Locator, Page, expect

from tests.browser import SLOW_CAMERA, Open, held


def says(progress: Locator, text: str) -> None:
    expect(progress).to_be_visible()
    expect(progress).to_contain_text(text)
    expect(progress.get_by_role("progressbar")).to_be_visible()


def anew(page: Page, view: str) -> None:
    """Load the page again: it asks for the store once, whatever the view."""
    home = page.url.partition("#")[0]
    page.goto("about:blank")
    page.goto(f"{home}#{view}")


def test_the_store_and_its_plots_and_cards(open_page: Open) -> None:
    page = open_page()
    with held(page, "**/reports/*.png"):
        with held(page, "**/models"):
            anew(page, "models")
            says(page.locator("#models-progress"), "Reading the store")
        says(page.locator("#plots-progress"), "Loading the plots")
        expect(page.locator("#models-progress")).to_be_hidden()
    expect(page.locator("#plots-progress")).to_be_hidden()
    expect(page.locator("#plots img").first).to_be_visible()
    detector = page.locator("#cards details", has_text="the face detector")
    with held(page, "**/web/cards/detector"):
        detector.locator("summary").click()
        says(detector.locator(".progress"), "Reading the face detector")
    expect(detector.locator(".prose table").first).to_be_visible()


def test_the_list_that_the_faces_wait_for(open_page: Open) -> None:
    page = open_page()
    with held(page, "**/models"):
        anew(page, "picture")
        page.get_by_role("button", name="Portrait").click()
        says(page.locator("#picture-progress"), "Finding faces")
    expect(page.locator("#summary .verdict")).to_contain_text("happy")


def test_the_list_of_live_artifacts_and_the_camera(open_page: Open) -> None:
    page = open_page()
    page.add_init_script(SLOW_CAMERA)
    with held(page, "**/models"):
        anew(page, "live")
        says(page.locator("#live-progress"), "Reading the store")
    expect(page.locator("#live-progress")).to_be_hidden()
    page.get_by_role("button", name="Start the camera").click()
    says(page.locator("#live-progress"), "the browser may ask you")
    page.evaluate("allow[0]()")
    expect(page.locator("#live-progress")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop the camera")).to_be_visible()


def test_the_camera_and_an_example(open_page: Open) -> None:
    page = open_page()
    page.add_init_script(SLOW_CAMERA)
    page.reload()
    page.get_by_role("button", name="Use the camera").click()
    says(page.locator("#picture-progress"), "the browser may ask you")
    page.evaluate("allow[0]()")
    expect(page.get_by_role("button", name="Take the picture")).to_be_focused()
    expect(page.locator("#picture-progress")).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    with held(page, "**/web/examples/portrait.jpg"):
        page.get_by_role("button", name="Portrait").click()
        says(page.locator("#picture-progress"), "Loading the example")
    expect(page.locator("#summary .verdict")).to_contain_text("happy")
