"""Who is let in, how much one may ask, and what leaves no trace: against a live service."""

import asyncio
import io
import json
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from benchmarks.server import free_port
from service.app import create_app
from service.clients import MAX_CLIENTS, Allowance
from service.settings import Settings
from tests.clients import eventually
from tests.conftest import ROOT, Server, StartServer
from tests.observed import events, problem_of
from tests.test_faults import workers_of
from tests.wire import converse, post

SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def made_keys(*names: str) -> tuple[list[str], str]:
    """Keys and the setting, as ``python -m service.keys`` prints them."""
    done = subprocess.run(
        [sys.executable, "-m", "service.keys", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *keys, setting = done.stdout.splitlines()
    return [line.partition(": ")[2] for line in keys], setting.removeprefix("EMOTION_API_KEYS=")


def test_api_keys(start_server: StartServer, photo: bytes) -> None:
    (key, other), setting = made_keys("alice", "gate-2")
    with start_server(api_keys=setting, preload="none") as server:
        url = server.url
        for method, path in (
            ("POST", "/predict"),
            ("POST", "/predict?unknown=1"),  # which goes another way, see service/direct.py
            ("POST", "/compare"),
            ("GET", "/models"),
            ("GET", "/models/mobilenet/int8"),
            ("GET", "/metrics"),
        ):
            for headers in ({}, {"x-api-key": key[:-1]}, {"authorization": f"Bearer {key}x"}):
                answer = httpx.request(method, url + path, headers=headers)
                problem = problem_of(answer, 401, "unauthorized")
                assert "Authorization: Bearer" in str(problem["detail"])
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/livez", "/readyz", "/docs", "/openapi.json"):
            assert httpx.get(url + path).status_code == 200
        document = httpx.get(f"{url}/openapi.json").json()
        assert len(document["paths"]["/predict"]["post"]["security"]) == 2
        assert "security" not in document["paths"]["/livez"]["get"]
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": other}):
            answer = httpx.post(f"{url}/predict", content=photo, headers=headers)
            assert answer.status_code == 200, answer.text
        metrics = httpx.get(f"{url}/metrics", headers={"x-api-key": key}).text
        assert 'emotion_problems_total{problem="unauthorized"}' in metrics
        server.stop()
        text = server.log.read_text()
    log = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    named = [line.get("api_key") for line in log if line.get("path") == "/predict"]
    assert named == [*6 * [None], "alice", "gate-2"]
    assert key not in text
    assert other not in text


def test_a_refused_client_that_is_still_sending_gets_its_answer(start_server: StartServer) -> None:
    with start_server(api_keys=made_keys("a")[1], preload="none") as server:
        body = [bytes(1_000_000)] * 15
        answer = asyncio.run(converse(server, post("image/png", 15_000_000), *body))
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"unauthorized" in answer


def test_metrics_can_be_open(start_server: StartServer) -> None:
    with start_server(api_keys=made_keys("a")[1], metrics_open=True, preload="none") as server:
        assert httpx.get(f"{server.url}/metrics").status_code == 200
        assert httpx.get(f"{server.url}/models").status_code == 401


@pytest.mark.parametrize(
    "keys", ["", " , ", "alice", "alice:12", "a b:" + "0" * 64, "alice:" + "0" * 63]
)
def test_keys_that_are_no_keys_are_refused_at_the_start(
    start_server: StartServer, keys: str
) -> None:
    with (
        pytest.raises(RuntimeError, match="error: EMOTION_API_KEYS: ") as refused,
        start_server(api_keys=keys),
    ):
        pass
    assert not keys.strip(" ,") or keys not in str(refused.value)  # it may be a key itself


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"api_key": "alice:" + "0" * 64},
            "EMOTION_API_KEY is no setting. Did you mean EMOTION_",
        ),
        ({"zzz": "1"}, "EMOTION_ZZZ is no setting."),
        ({"host": ""}, "EMOTION_HOST=: "),
    ],
)
def test_what_might_leave_it_open_is_refused_at_the_start(
    start_server: StartServer, settings: dict[str, str], said: str
) -> None:
    with (
        pytest.raises(RuntimeError, match=f"error: {re.escape(said)}"),
        start_server(**{"port": free_port()} | settings),
    ):
        pass


def test_a_service_that_is_open_to_everybody_says_so(start_server: StartServer) -> None:
    warning = "everybody may ask: EMOTION_API_KEYS is not set"
    for settings, times in (
        ({"host": "0.0.0.0"}, 1),
        ({"host": "0.0.0.0", "api_keys": "a:" + "0" * 64}, 0),
        ({}, 0),
    ):
        with start_server(**settings, preload="none") as server:
            assert len(events(server, warning)) == times


def test_an_empty_key_is_nobodys(start_server: StartServer) -> None:
    with start_server(api_keys=f"alice:{sha256(b'').hexdigest()}", preload="none") as server:
        for headers in ({}, {"x-api-key": ""}, {"authorization": "Bearer"}):
            problem_of(httpx.get(f"{server.url}/models", headers=headers), 401, "unauthorized")


def test_only_a_proxy_that_was_named_says_for_whom_it_asks(start_server: StartServer) -> None:
    with start_server(client_requests_per_minute=1, preload="none") as server:
        asked = [
            httpx.get(f"{server.url}/models", headers={"x-forwarded-for": address}).status_code
            for address in ("192.0.2.1", "192.0.2.2")
        ]
    assert asked == [200, 429]


def test_no_answer_leads_to_another_host(http: httpx.Client) -> None:
    for path in ("/models/", "/web", "/swagger/", "/shadow/"):
        answer = http.get(path, headers={"host": "evil.example"})
        assert answer.status_code == 404
        assert "location" not in answer.headers


def test_a_request_id_is_short(http: httpx.Client) -> None:
    mine = "5d2c96cd9d374389ab9ab8c75f3ed057"
    for given, taken in ((mine, True), (mine + "-" * 32, True), (mine + "-" * 33, False)):
        answer = http.get("/livez", headers={"x-request-id": given})
        assert (answer.headers["x-request-id"] == given) == taken


def test_one_client_cannot_take_it_all(start_server: StartServer, photo: bytes) -> None:
    keys, setting = made_keys("a", "b")
    a, b = ({"x-api-key": key} for key in keys)
    with start_server(api_keys=setting, client_requests_per_minute=5) as server:
        url = f"{server.url}/models"
        assert [httpx.get(url, headers=a).status_code for _ in range(5)] == [200] * 5
        refused = httpx.get(url, headers=a)
        problem_of(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 12
        assert httpx.get(url, headers=b).status_code == 200
        assert httpx.get(f"{server.url}/livez").status_code == 200
    with start_server(client_requests=2, threads=1, deadline_seconds=60) as server:

        async def ask() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                request = ("/compare?repeats=50", {"content": photo})
                return await asyncio.gather(
                    *(client.post(request[0], **request[1]) for _ in "123456")
                )

        answers = asyncio.run(ask())
        assert sorted(r.status_code for r in answers) == [200, 200, 429, 429, 429, 429]
        problem_of(max(answers, key=lambda r: r.status_code), 429, "too-many-requests")
        assert httpx.post(f"{server.url}/predict", content=photo).status_code == 200


def test_by_default_one_address_leaves_room_for_others(
    start_server: StartServer, photo: bytes
) -> None:
    """It begins more uploads than may be under way in all, and goes on with none."""
    with start_server(preload="mobilenet/int8") as server, ExitStack() as sockets:
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        client = httpx.Client(base_url=server.url, transport=elsewhere, timeout=30)
        other = sockets.enter_context(client)
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        for _ in range(200):
            stalled = sockets.enter_context(socket.create_connection(address))
            stalled.sendall(post("image/jpeg", len(photo)) + photo[:1000])
        uploads = re.compile(r"^emotion_uploads (\d+)", re.MULTILINE)
        eventually(lambda: int(float(uploads.findall(other.get("/metrics").text)[0])) == 80)
        refused = httpx.post(f"{server.url}/predict", content=photo)
        problem_of(refused, 429, "too-many-requests")
        assert refused.headers["retry-after"] == "1"
        assert other.post("/predict", content=photo).status_code == 200
        sockets.close()
        eventually(lambda: httpx.post(f"{server.url}/predict", content=photo).status_code == 200)


def test_an_ipv4_address_is_one_client_however_it_is_written(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    with start_server(client_requests_per_minute=1, preload="none") as server:
        asked = [
            httpx.get(f"{server.url}/models", headers={"x-forwarded-for": address}).status_code
            for address in ("::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1")
        ]
        asked += [
            httpx.get(f"{server.url}/models", headers={"x-forwarded-for": address}).status_code
            for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
        ]
    assert asked == [200, 200, 429, 200, 429, 200]


def test_the_allowance_refills_and_forgets() -> None:
    now = [0.0]
    allowance = Allowance(6, lambda: now[0])
    assert [allowance.take("a") for _ in range(6)] == [0] * 6
    assert allowance.take("a") == pytest.approx(10)
    now[0] = 10.1
    assert allowance.take("a") == 0
    assert allowance.take("a") > 9
    for number in range(MAX_CLIENTS + 5):
        allowance.take(str(number))
    assert len(allowance._left) == MAX_CLIENTS


def test_origins_are_closed_unless_named(http: httpx.Client, start_server: StartServer) -> None:
    origin = {"origin": "https://app.example.org"}
    asked = origin | {"access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in http.get("/models", headers=origin).headers
    assert "access-control-allow-origin" not in http.options("/predict", headers=asked).headers
    with start_server(cors_origins="https://app.example.org", preload="none") as server:
        answer = httpx.options(
            f"{server.url}/predict",
            headers=asked | {"access-control-request-headers": "x-api-key"},
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin["origin"]
        other = httpx.get(f"{server.url}/models", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        mine = httpx.get(f"{server.url}/models", headers=origin)
        assert mine.headers["access-control-allow-origin"] == origin["origin"]


def test_every_answer_has_the_security_headers(http: httpx.Client, photo: bytes) -> None:
    answers = [
        http.post("/predict", content=photo),
        http.post("/predict", content=b"no image"),
        http.get("/predict"),
        http.get("/nowhere"),
        http.get("/metrics"),
        http.get("/livez"),
        http.post("/predict", content=bytes(11_000_000)),
        http.post("/predict", json={}),
        http.get("/v2/models/none"),
        http.get("/swagger/swagger-ui.css"),
    ]
    for answer in answers:
        assert SECURE.items() <= dict(answer.headers).items(), answer.request.url
    assert answers[0].headers["cache-control"] == "no-store"
    docs = http.get("/docs").headers["content-security-policy"]
    assert "default-src 'none'" in docs
    assert "script-src 'self'" in docs


def test_a_bug_is_answered_like_everything_else(capfd: pytest.CaptureFixture[str]) -> None:
    app = create_app(Settings(preload=("none",)))

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("secret")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get("/bug")

    answer = asyncio.run(ask())
    problem_of(answer, 500, "internal-error")
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["status"], line["problem"]) == (500, "internal-error")
    assert SECURE.items() <= dict(answer.headers).items()
    assert "secret" not in answer.text


HOSTILE = ("../../etc/passwd", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "etc/passwd\0.jpg", "$(id)")


@pytest.fixture
def watched(start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A service that reports every file it opens."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"log = os.open({str(tmp_path / 'opened')!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "def hook(event, arguments):\n"
        "    if event in ('open', 'os.remove', 'os.rename', 'os.mkdir', 'subprocess.Popen',\n"
        "                 'socket.connect', 'socket.getaddrinfo'):\n"
        "        os.write(log, f'{event} {arguments!r}\\n'.encode())\n"
        "sys.addaudithook(hook)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with start_server() as server:
        yield server, tmp_path / "opened"


def test_nothing_of_a_request_reaches_the_file_system(
    watched: tuple[Server, Path], photo: bytes
) -> None:
    server, opened = watched
    assert "store/manifest.json" in opened.read_text()  # so it would be seen
    httpx.post(f"{server.url}/predict?faces=all", files={"image": photo})  # all that loads late
    httpx.get(f"{server.url}/swagger/swagger-ui.css")
    before = len(opened.read_text())
    big = photo + bytes(3_000_000)  # more than Starlette keeps in memory by itself
    for text in HOSTILE:
        path = quote(text, safe="/%")
        for parameters in ({"model": text}, {"precision": text}, {"detector": text}):
            answer = httpx.post(f"{server.url}/predict", params=parameters, content=photo)
            assert answer.status_code in (404, 422)
        assert httpx.get(f"{server.url}/models/{path}/int8").status_code == 404
        assert httpx.get(f"{server.url}/models/mobilenet/{path}").status_code == 404
        for folder in ("", "reports/", "web/", "web/cards/", "web/reports/", "swagger/"):
            assert httpx.get(f"{server.url}/{folder}{path}").status_code == 404, folder
        name = text.replace("\0", "")
        files = {"image": (name, big, "image/jpeg")}
        headers = {"x-request-id": name, "x-forwarded-for": name, "x-original-url": name}
        answer = httpx.post(f"{server.url}/predict", files=files, headers=headers)
        assert answer.status_code == 200, answer.text
    late = opened.read_text()[before:].splitlines()
    # FastAPI names the endpoint's source line in its validation errors
    assert [
        line for line in late if not re.fullmatch(r"open \('.*/service/\w+/\w+\.py', 'r', .*", line)
    ] == []


def test_urls_are_not_fetched(watched: tuple[Server, Path], photo: bytes) -> None:
    server, opened = watched
    assert "socket.getaddrinfo" in opened.read_text()  # of its own address; so it would be seen
    before = len(opened.read_text())
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.settimeout(0.2)
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/x.jpg"
        image = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [url]}
        for field in ("image", "file", "url"):
            form = {"data": {field: url}, "files": {"other": b"x"}}
            assert httpx.post(f"{server.url}/predict", **form).status_code == 400
            assert httpx.post(f"{server.url}/predict", data={field: url}).status_code == 415
        for refused in (
            {"params": {"url": url}, "content": photo},
            {"params": {"model": url}, "content": photo},
            {"content": url.encode()},
        ):
            assert 400 <= httpx.post(f"{server.url}/predict", **refused).status_code < 500
        infer = f"{server.url}/v2/models/mobilenet/infer"
        assert httpx.post(infer, json={"inputs": [image]}).status_code in (400, 415)
        headers = {"referer": url, "x-forwarded-host": url, "location": url}
        httpx.post(f"{server.url}/predict", content=photo, headers=headers).raise_for_status()
        with pytest.raises(TimeoutError):
            bait.accept()
    late = opened.read_text()[before:]
    assert "socket.connect" not in late
    assert "socket.getaddrinfo" not in late


def test_pictures_and_probabilities_are_nowhere(
    start_server: StartServer, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    shared = Path("/dev/shm")
    tagged = io.BytesIO()
    with Image.open(io.BytesIO(photo)) as picture:
        tags = picture.getexif()
        tags[0x010E] = "John, ward 7"  # the description
        picture.save(tagged, "JPEG", exif=tags)
    with start_server(workers=2, log_level="DEBUG") as server:
        found = []
        for _ in range(6):
            answer = httpx.post(f"{server.url}/predict", files={"image": ("me.jpg", photo)})
            found += answer.json()["faces"][0]["probabilities"].values()
            httpx.post(f"{server.url}/predict", content=tagged.getvalue()).raise_for_status()
        assert not list(tmp_path.rglob("*"))  # nothing on a disk, which may be full
        files = [
            f for pid in workers_of(server) for f in shared.glob(f"emotion-metrics-*/*_{pid}.db")
        ]
        assert files  # the workers' counts
        server.stop()
        contents = [
            server.log.read_bytes(),
            *(file.read_bytes() for file in files if file.exists()),
        ]
    eventually(lambda: not any(file.parent.exists() for file in files))
    for content in contents:
        assert photo[1000:1032] not in content
        assert b"me.jpg" not in content
        assert b"John" not in content
        for value in found:
            if len(repr(value)) > 8:
                assert repr(value)[:8].encode() not in content
    assert not re.search(rb"probabilit", server.log.read_bytes())
