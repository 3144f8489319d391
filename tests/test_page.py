"""What the web page does, in a real browser, against a real service."""

import hashlib
import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from emotion import Classifier
from tests.browser import SLOW, Open, give, try_example
from tests.conftest import Server, StartServer
from tests.tradeoff import best


def names(page: Page) -> list[str]:
    heads = page.locator("#artifacts tbody th").all_inner_texts()
    return [head.partition("\n")[0].strip() for head in heads]


def test_every_artifact_is_shown_side_by_side(
    open_page: Open, server: Server, classifier: Classifier
) -> None:
    page = open_page(url=server.url)
    answer = try_example(page, "Portrait")
    artifacts = answer["artifacts"]
    assert names(page) == [f"{a['model']} {a['precision']}" for a in artifacts]
    for row, artifact in zip(page.locator("#artifacts tbody tr").all(), artifacts, strict=True):
        cells = row.locator("td").all_inner_texts()
        assert cells[0].split("\n")[0] == artifact["emotion"]
        assert cells[3] == f"{artifact['bytes'] / 1e6:.2f}"
        shown = [float(cell) for cell in cells[5:]]
        probabilities = [100 * p for p in artifact["probabilities"].values()]
        assert shown == pytest.approx(probabilities, abs=0.051)
    chosen = best(classifier.store.records, artifacts).replace("/", " ")
    marked = page.locator("#artifacts tr.best th")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text(chosen)
    (told,) = [a["emotion"] for a in artifacts if f"{a['model']} {a['precision']}" == chosen]
    expect(page.locator("#summary .verdict")).to_contain_text(told)
    expect(page.locator("#scatter .spot")).to_have_count(len(artifacts))
    expect(page.locator("#scatter .best")).to_have_text(chosen)
    changes = page.locator(".difference tbody tr")
    assert changes.count() == 7 * len(answer["models"])


def test_columns_sort_both_ways_by_keyboard(open_page: Open) -> None:
    page = open_page()
    artifacts = try_example(page, "Portrait")["artifacts"]
    by_latency = [
        f"{a['model']} {a['precision']}" for a in sorted(artifacts, key=lambda a: a["latency_ms"])
    ]
    button = page.get_by_role("button", name="Latency, ms")
    button.focus()
    page.keyboard.press("Enter")
    assert names(page) == by_latency
    page.keyboard.press("Enter")  # the focus stays
    assert names(page) == by_latency[::-1]
    expect(page.get_by_role("columnheader", name="Latency, ms")).to_have_attribute(
        "aria-sort", "descending"
    )


def test_a_face_is_picked_by_keyboard(open_page: Open, collage: bytes) -> None:
    page = open_page()
    page.set_input_files("#file", {"name": "three.png", "mimeType": "image/png", "buffer": collage})
    faces = page.get_by_role("button", name=re.compile(r"Face \d of 3"))
    expect(faces).to_have_count(3)
    expect(page.locator("#legend")).to_be_visible(timeout=SLOW)
    third = faces.nth(2)
    expect(third).to_have_attribute("aria-pressed", "false")
    with page.expect_response("**/compare?*face=2*") as answer:
        third.focus()
        page.keyboard.press("Enter")
    expect(third).to_have_attribute("aria-pressed", "true")
    expect(third).to_be_focused()
    box, shown = answer.value.json()["box"], third.bounding_box()
    photo = page.locator("#photo").bounding_box()
    assert shown
    assert photo
    scale = photo["width"] / 760
    assert shown["x"] - photo["x"] == pytest.approx(scale * box["x"], abs=1)
    assert shown["width"] == pytest.approx(scale * box["width"], abs=1)


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(open_page: Open, photo: bytes, event: str) -> None:
    page = open_page()
    give(page, event, photo)
    expect(page.locator("#summary .verdict")).to_contain_text("happy")


def test_what_is_refused_is_explained(open_page: Open) -> None:
    page = open_page(refused=(415, 422))
    problem = page.locator("#picture-problem")
    give(page, "drop", b"%PDF-1.7 not a picture", "application/pdf")
    expect(problem).to_contain_text("JPEG")
    expect(page.locator("#drop")).to_be_visible()
    page.evaluate("document.body.dispatchEvent(new ClipboardEvent('paste', { bubbles: true }))")
    expect(problem).to_contain_text("Copy the picture itself")
    page.get_by_role("button", name="No face").click()
    expect(problem).to_contain_text("No face was found")
    page.get_by_role("button", name="Take the whole picture").click()
    expect(page.locator("#results")).to_be_visible()
    expect(problem).to_be_hidden()
    expect(page.locator("#caption")).to_contain_text("whole picture")


def test_a_service_that_is_gone_is_named(open_page: Open, start_server: StartServer) -> None:
    with start_server(preload="none") as gone:
        page = open_page(url=gone.url)
        expect(page.get_by_role("heading", level=1).first).to_be_visible()
        gone.stop()
        page.get_by_role("button", name="Portrait").click()
        expect(page.locator("#picture-problem")).to_contain_text("did not answer")


def test_what_takes_long_shows_progress(open_page: Open) -> None:
    page = open_page()
    held: list[Route] = []
    page.route("**/compare?*", lambda route: held.append(route))
    page.get_by_role("button", name="Portrait").click()
    progress = page.get_by_role("progressbar", name="Asking every artifact")
    expect(progress).to_be_visible()
    held[0].continue_()
    expect(page.locator("#results")).to_be_visible()
    expect(progress).to_be_hidden()


def test_what_the_network_sees(open_page: Open) -> None:
    page = open_page()
    with page.expect_response("**/explain?*precision=int8*") as asked:
        try_example(page, "Portrait")
    answer = asked.value.json()
    for name in ("before", "after"):
        assert page.locator(f"#{name}").evaluate("image => image.naturalWidth") == 128
    before, after = (page.locator(f"#{n}").get_attribute("src") for n in ("before", "after"))
    assert before == answer["crop"]["before_clahe"]
    assert after == answer["crop"]["after_clahe"]
    left = 100 * (answer["face"]["confidence"] - max(map(max, answer["occlusion"]["drops"])))
    expect(page.locator("#map-1-caption")).to_contain_text("lower")  # a smile is in the mouth
    caption = page.locator("#map-1-caption").inner_text()
    assert float(re.search(r"leaves (.+) %", caption)[1]) == pytest.approx(left, abs=0.051)
    expect(page.locator("#sees-note")).to_contain_text("correlate")
    picture = "canvas => canvas.toDataURL()"
    maps = [page.locator(f"#map-{side}").evaluate(picture) for side in (0, 1)]
    assert maps[0] != maps[1]
    page.locator("#map-0-artifact").select_option("mobilenet/int8")
    expect(page.locator("#sees-note")).to_contain_text("Choose another")
    same = [page.locator(f"#map-{side}").evaluate(picture) for side in (0, 1)]
    assert same[0] == same[1]  # one scale for both, so that both may have changed


def test_the_camera_takes_a_picture(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#drop")).to_be_hidden()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator("#summary .verdict")).to_contain_text("happy")
    expect(page.locator("#caption")).to_contain_text("480 pixels")
    assert page.locator("#viewfinder").evaluate("video => video.srcObject") is None


def test_another_picture_closes_the_camera(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#capture")).to_be_visible()
    page.get_by_role("button", name="Portrait").click()
    expect(page.locator("#summary .verdict")).to_contain_text("happy")
    expect(page.locator("#capture")).to_be_hidden()
    expect(page.locator("#shown")).to_be_visible()
    assert page.locator("#viewfinder").evaluate("video => video.srcObject") is None


def test_live_drops_frames_instead_of_queueing(open_page: Open) -> None:
    page = open_page("#live")
    under_way: set[Request] = set()
    most = answered = 0

    def sent(request: Request) -> None:
        nonlocal most
        if "/predict" in request.url:
            under_way.add(request)
            most = max(most, len(under_way))

    def done(request: Request) -> None:
        nonlocal answered
        answered += request in under_way
        under_way.discard(request)

    page.on("request", sent)
    page.on("requestfinished", done)
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live-boxes .face")).to_contain_text("happy")
    page.wait_for_function(
        "() => Number(document.querySelector('#live-numbers dd').textContent) > 1"
    )
    numbers = dict(
        zip(
            page.locator("#live-numbers dt").all_inner_texts(),
            page.locator("#live-numbers dd").all_inner_texts(),
            strict=True,
        )
    )
    assert 0 < float(numbers["In the network, ms"]) < float(numbers["In the service, ms"])
    assert float(numbers["In the service, ms"]) < float(numbers["There and back, ms"])
    page.wait_for_function(
        "() => Number(document.querySelector('#live-numbers div:last-child dd').textContent) > 0"
    )
    page.wait_for_timeout(1000)
    assert most == 1
    assert answered > 3
    page.get_by_role("link", name="Models").click()  # leaving stops the camera
    page.wait_for_timeout(300)
    before = answered
    page.wait_for_timeout(500)
    assert answered == before
    assert page.locator("#live-video").evaluate("video => video.srcObject") is None


def test_models_show_cards_and_plots(
    open_page: Open, server: Server, classifier: Classifier
) -> None:
    page = open_page("#models", url=server.url)
    records = classifier.store.records
    expect(page.locator("#store tbody tr")).to_have_count(len(records))
    for plot in page.locator("#plots img").all():
        plot.scroll_into_view_if_needed()
        expect(plot).to_have_attribute("src", re.compile("^blob:"))
        expect(plot).to_have_js_property("complete", True)
        assert plot.evaluate("image => image.naturalWidth") > 100
    expect(page.locator("#store tr.best th")).to_contain_text(best(records).replace("/", " "))
    expect(page.locator("#cards .prose table").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="report.json").click()
    assert download.value.suggested_filename == "report.json"
    page.locator("summary", has_text=re.compile("^Report$")).click()
    expect(page.locator("#texts table").first).to_be_visible()
    expect(page.locator("#texts img").first).to_have_attribute("src", re.compile("^blob:"))
    linked = page.locator("#texts details", has_text=re.compile("^Robustness mobilenet"))
    expect(linked).not_to_have_attribute("open", "")
    page.locator("#texts").get_by_role("button", name="robustness_mobilenet.md").click()
    expect(linked).to_have_attribute("open", "")
    expect(linked.locator("summary")).to_be_focused()
    expect(linked.locator(".prose table").first).to_be_visible()
    assert page.url.endswith("/#models")


def test_a_key_is_asked_for_and_kept(open_page: Open, start_server: StartServer) -> None:
    given = hashlib.sha256(b"open sesame").hexdigest()
    with start_server(preload="none", api_keys=f"page:{given}") as guarded:
        page = open_page(url=guarded.url, refused=(401,))
        page.get_by_label("API key").fill("open sesame")
        with page.expect_response(lambda answer: answer.url.endswith("/models") and answer.ok):
            page.get_by_role("button", name="Use this key").click()
        try_example(page, "Portrait")
        page.get_by_role("link", name="Models").click()
        for plot in page.locator("#plots img").all():
            expect(plot).to_have_attribute("src", re.compile("^blob:"))
        expect(page.locator("#cards .prose table").first).to_be_visible()
