"""The page over a store that changes while it is open, or of which a part is broken."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from benchmarks.stores import publish_retrained
from emotion.store import ModelStore
from tests.browser import Open, give, problem, try_example
from tests.clients import eventually
from tests.conftest import Server, StartServer
from tests.stores import SMALL, edit_manifest
from tests.tradeoff import best


def damage(store: Path, name: str) -> None:
    path = store / ModelStore(store).record(*name.split("/")).file
    path.write_bytes(path.read_bytes()[:1000])


def serves(server: Server, store: Path) -> bool:
    versions = {f"{r.name}@{r.version}" for r in ModelStore(store).records}
    return set(httpx.get(f"{server.url}/readyz").json()["artifacts"]) == versions


def publish_other_precision(store: Path) -> None:
    """Let the store list an artifact that it did not: VGG16's int8 file as its float16."""
    old = ModelStore(store)
    record = old.record("vgg16", "int8")
    file = record.file.replace("int8", "float16")
    shutil.copy(store / record.file, store / file)
    added = record.model_copy(update={"precision": "float16", "file": file})
    records = [*old.records, added]
    edit_manifest(store, artifacts=[r.model_dump(mode="json") for r in records])


def withdraw(store: Path, name: str) -> None:
    kept = [r for r in ModelStore(store).records if r.name != name]
    edit_manifest(store, artifacts=[r.model_dump(mode="json") for r in kept])


def test_a_damaged_artifact_is_left_out_and_named(
    open_page: Open, start_server: StartServer, store: Path
) -> None:
    first = best(ModelStore(store).records)  # the one that the page asks for the faces
    damage(store, first)
    with start_server(store=store) as server:
        page = open_page(url=server.url, refused=(503,))
        answer = try_example(page, "Portrait")
    (left_out,) = answer["left_out"]
    said = page.locator("#left-out")
    expect(said).to_contain_text(f"{first.replace('/', ' ')} cannot run and is left out")
    expect(said).to_contain_text(left_out["reason"])
    expect(page.locator("#artifacts tbody tr")).to_have_count(len(SMALL) - 1)
    expect(page.locator("#picture-problem")).to_be_hidden()
    offered = page.locator("#map-0-artifact option").evaluate_all("all => all.map((o) => o.value)")
    assert sorted(offered) == sorted(set(SMALL) - {first})


def test_nothing_is_said_to_be_left_out_of_a_sound_store(open_page: Open) -> None:
    page = open_page()
    try_example(page, "Portrait")
    expect(page.locator("#left-out")).to_be_hidden()


def publish_newer_versions(store: Path) -> None:
    publish_retrained(store, seed=1)


@pytest.mark.parametrize("publish", [publish_newer_versions, publish_other_precision])
def test_a_newer_store_is_read_again(
    open_page: Open, start_server: StartServer, store: Path, publish: Callable[[Path], None]
) -> None:
    with start_server(store=store, reload_seconds=0.1) as server:
        page = open_page("#models", url=server.url)
        expect(page.locator("#store tbody tr")).to_have_count(len(SMALL))
        page.get_by_role("link", name="Live").click()
        expect(page.locator("#live-artifact option")).to_have_count(len(SMALL))
        page.get_by_role("link", name="Picture").click()
        publish(store)
        eventually(lambda: serves(server, store))
        try_example(page, "Portrait")
        records = ModelStore(store).records
        expect(page.locator("#artifacts tbody tr")).to_have_count(len(records))
        expect(page.locator("#picture-problem")).to_be_hidden()
        assert page.locator("#live-artifact option").count() == len(records)
        page.get_by_role("link", name="Models").click()
        expect(page.locator("#store code")).to_have_text([r.version for r in records])


def test_what_was_withdrawn_is_no_longer_asked(
    open_page: Open, start_server: StartServer, store: Path, photo: bytes
) -> None:
    first = best(ModelStore(store).records)
    with start_server(store=store, reload_seconds=0.1) as server:
        page = open_page("#live", url=server.url, refused=(404,))
        expect(page.locator("#live-artifact")).to_have_value(first)
        withdraw(store, first)
        eventually(lambda: serves(server, store))
        page.get_by_role("button", name="Start the camera").click()
        expect(page.locator("#live-problem")).to_contain_text(f"no artifact {first}")
        expect(page.locator("#live-artifact option")).to_have_count(len(SMALL) - 1)
        page.get_by_role("button", name="Start the camera").click()  # with one that is there
        expect(page.locator("#live-boxes .face")).to_be_attached()
        give(page, "paste", photo)
        expect(page.locator("#results")).to_be_visible()


def test_faces_are_found_after_the_best_was_withdrawn(
    open_page: Open, start_server: StartServer, store: Path
) -> None:
    first = best(ModelStore(store).records)
    with start_server(store=store, reload_seconds=0.1) as server:
        page = open_page(url=server.url, refused=(404,))
        page.get_by_role("link", name="Models").click()
        expect(page.locator("#store tbody tr")).to_have_count(len(SMALL))
        page.get_by_role("link", name="Picture").click()
        withdraw(store, first)
        eventually(lambda: serves(server, store))
        try_example(page, "Portrait")
        expect(page.locator("#artifacts tbody tr")).to_have_count(len(SMALL) - 1)


def test_a_map_of_what_was_withdrawn_leads_to_what_is_there(
    open_page: Open, start_server: StartServer, store: Path
) -> None:
    with start_server(store=store, reload_seconds=0.1) as server:
        page = open_page(url=server.url, refused=(404,))
        try_example(page, "Portrait")
        withdraw(store, "vgg16/int8")
        eventually(lambda: serves(server, store))
        page.locator("#map-0-artifact").select_option("vgg16/int8")
        told = page.locator("#sees-problem")
        expect(told).to_contain_text("no artifact vgg16/int8")
        told.get_by_role("button", name="Try again").click()
        expect(page.locator(".answer")).to_be_focused()
        expect(page.locator("#artifacts tbody tr")).to_have_count(len(SMALL) - 1)
        expect(page.locator("#legend")).to_be_visible()
        expect(page.locator("#live-artifact option[value='vgg16/int8']")).to_have_count(0)
        expect(told).to_be_hidden()


def too_late(route: Route) -> None:
    problem(route, status=504, name="deadline-passed", detail="Send a smaller image.")


def test_less_is_asked_where_the_time_is_short(open_page: Open) -> None:
    page = open_page(refused=(504,))
    page.route("**/compare?*", too_late, times=1)
    with page.expect_response(lambda answer: "/compare" in answer.url and answer.ok) as compared:
        page.get_by_role("button", name="Portrait").click()
    assert "repeats=1" in compared.value.url
    expect(page.locator("#tradeoff-rule")).to_contain_text("one call of each artifact")
    expect(page.locator("#tradeoff-rule")).to_contain_text("no time for 15 calls")
    expect(page.locator("#legend")).to_be_visible()
    expect(page.locator("#sees-note")).not_to_contain_text("no time")
    try_example(page, "Side light")  # each picture is given all the time again
    expect(page.locator("#tradeoff-rule")).to_contain_text("median of 15")
    expect(page.locator("#tradeoff-rule")).not_to_contain_text("no time")


def test_coarser_maps_are_asked_where_the_time_is_short(open_page: Open) -> None:
    page = open_page(refused=(504,))
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/explain" in r.url else None)
    page.route("**/explain?*precision=int8&grid=10", too_late)  # the first map had time
    page.get_by_role("button", name="Side light").click()  # whose maps are not flat
    note = page.locator("#sees-note")
    expect(note).to_contain_text(re.compile("no time to hide 10 . 10 places, so 6 . 6 were hidden"))
    expect(note).to_contain_text("correlate")  # of maps of one size
    expect(page.locator("#sees-problem")).to_be_hidden()
    assert [url.rpartition("=")[2] for url in asked] == ["10", "10", "6", "6"]
    with page.expect_response("**/explain?*precision=float16*") as another:
        page.locator("#map-0-artifact").select_option("mobilenet/float16")
    assert another.value.url.endswith("grid=6")  # for this face it is known
    expect(note).to_contain_text(re.compile("so 6 . 6"))


def test_a_service_without_time_for_the_least_says_so(open_page: Open) -> None:
    page = open_page(refused=(504,) * 3)
    page.route("**/compare?*", too_late, times=3)
    page.get_by_role("button", name="Portrait").click()
    box = page.locator("#picture-problem")
    expect(box).to_contain_text("Send a smaller image")
    box.get_by_role("button", name="Try again").click()
    expect(page.locator("#results")).to_be_visible()
