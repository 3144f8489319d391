"""A real Chromium with a camera that shows a real face."""

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

DESKTOP, PHONE, CAMERA_SIZE = (1280, 860), (390, 844), (640, 480)
SLOW = 20_000  # milliseconds that a busy machine may take
Open = Callable[..., Page]
# Quiet, and without a sandbox, which needs rights that containers lack.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ALLOWED = "--use-fake-ui-for-media-stream"  # whatever the page asks the user for


def chromium() -> str:
    """The system's Chromium; without one the test is skipped, or fails with REQUIRE_BROWSER=1."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        reason = "Chromium is not installed: apt-get install chromium"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def write_camera(path: Path, photo: bytes) -> None:
    """Film a photo: a few frames of it, a little moved, as YUV4MPEG2."""
    width, height = CAMERA_SIZE
    picture = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W%d H%d F30:1 Ip A1:1 C420jpeg\n" % (width, height))
        for shift in (0, 2, 4, 6, 4, 2):
            frame = np.full((height, width, 3), 90, np.uint8)
            frame[:, shift : shift + height] = cv2.resize(picture, (height, height))
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())


# The prompt of each opening is answered by `allow[n]()`; the streams are kept to look at.
SLOW_CAMERA = """if (navigator.mediaDevices) {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  Object.assign(window, { allow: [], streams: [] });
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const turn = allow.length;
    await new Promise((resolve) => allow.push(resolve));
    return (streams[turn] = await open(wanted));
  };
}"""

expect.set_options(timeout=SLOW)


def camera(film: Path) -> tuple[str, str]:
    """Flags for a camera that plays a file over and over."""
    return "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"


@contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    """Run Chromium."""
    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        yield browser
        browser.close()


class Watch:
    """What a page must not do: complain, crash, or talk to another host."""

    def __init__(self, page: Page, home: str) -> None:
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self.refused: list[int] = []  # statuses of error answers, which Chromium logs by itself
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", lambda r: self.refused.append(r.status) if r.status >= 400 else None)
        page.on("request", lambda request: self._asked(request.url, home))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def _asked(self, url: str, home: str) -> None:
        if not url.startswith((home, "data:", f"blob:{home}")):
            self.strangers.append(url)


def try_example(page: Page, name: str) -> dict[str, object]:
    """Try an example and return what /compare answered."""
    with page.expect_response("**/compare?*") as answer:
        page.get_by_role("button", name=name).click()
    expect(page.locator("#legend")).to_be_visible()
    return answer.value.json()


def give(page: Page, event: str, content: bytes, kind: str = "image/jpeg") -> None:
    """Paste or drop a file."""
    page.evaluate(
        """([event, base64, type]) => {
          const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "given", { type }));
          const init = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(event === "paste"
            ? new ClipboardEvent("paste", { ...init, clipboardData: data })
            : new DragEvent("drop", { ...init, dataTransfer: data }));
        }""",
        [event, base64.b64encode(content).decode(), kind],
    )


@contextmanager
def held(page: Page, url: str) -> Iterator[list[Route]]:
    """Let no answer through while the block runs."""
    routes: list[Route] = []
    page.route(url, lambda route: routes.append(route))
    yield routes
    for route in routes:
        route.continue_()
    page.unroute(url)


BUSY = {503: "overloaded", 429: "too-many-requests"}


def refuse(route: Route, *, status: int = 503, after: str = "1") -> None:
    """Answer as a busy service does."""
    headers = {"content-type": "application/problem+json", "retry-after": after}
    told = {"type": f"urn:x:{BUSY[status]}", "title": "Too many requests", "detail": "Wait."}
    route.fulfill(status=status, headers=headers, body=json.dumps(told))


def problem(route: Route, *, status: int, name: str, detail: str) -> None:
    """Answer with a problem, as the service tells it."""
    told = {"type": f"urn:problem-type:emotion:{name}", "title": "It failed", "detail": detail}
    kind = "application/problem+json"
    route.fulfill(status=status, content_type=kind, body=json.dumps(told))
