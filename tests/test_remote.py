"""A store elsewhere: pushed, promoted, pulled, rolled back, and not believed when damaged."""

import functools
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import s3fs
from typer.testing import CliRunner

from emotion import Classifier
from emotion.cli import _typer
from emotion.errors import ArtifactUnavailableError, RemoteStoreError, StoreError
from emotion.remote import CachedStore, RemoteStore, open_store, pull
from emotion.remote.objects import Objects
from emotion.store import ModelStore
from tests.clients import eventually, traffic
from tests.conftest import ROOT, Server, StartServer
from tests.elsewhere import CREDENTIALS, Wire, promoted, s3_server, small_store
from tests.observed import events, sample
from tests.pages import commands
from tests.test_cli import run

OUT_OF_REACH = "store out of reach"


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with s3_server() as port, pytest.MonkeyPatch.context() as environment:
        between = Wire(port)
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("models")
        yield between
        between.close()


@pytest.fixture
def s3(wire: Wire, request: pytest.FixtureRequest) -> str:
    """The URL of a place of this test's own."""
    return f"s3://models/{request.node.name}"


@pytest.fixture
def here(tmp_path: Path) -> str:
    return f"file://{tmp_path}/elsewhere"


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def blob(url: str, store: Path, name: str) -> Path:
    """Where a file://'s content of a store's file lies."""
    sha256 = hashlib.sha256((store / name).read_bytes()).hexdigest()
    return Path(url.removeprefix("file://")) / "blobs" / sha256


def test_a_round_trip_by_the_command_line(s3: str, tmp_path: Path) -> None:
    one, two = small_store(tmp_path / "one"), small_store(tmp_path / "two", seed=1)

    def emotion(*arguments: object) -> str:
        done = CliRunner().invoke(_typer, ["models", *map(str, arguments), "--store", s3])
        if done.exception:
            raise done.exception
        return done.stdout

    refused = run("models", "--store", s3)
    assert refused.returncode == 1
    assert "has no channel production: push a store" in refused.stderr
    pushed = run("models", "push", one, "--json", EMOTION_STORE=s3)
    first = json.loads(pushed.stdout)
    assert first["sent"] == first["files"] == len(contents(one))
    second = json.loads(emotion("push", two, "--json"))
    assert second["version"] != first["version"]
    assert second["sent"] == second["files"] - 1  # the detector is the same
    assert "0 of 5 files sent" in emotion("push", two)
    assert first["version"][:12] in emotion("promote", first["version"][:8])
    emotion("promote", second["version"])
    listed = json.loads(emotion("--json"))
    assert [a["version"] for a in listed["artifacts"]] == [
        r.version for r in ModelStore(two).records
    ]
    served = listed["channels"]["production"]
    assert served["version"] == second["version"]
    assert [b["version"] for b in served["before"]] == [first["version"]]
    emotion("pull", tmp_path / "pulled")
    assert contents(tmp_path / "pulled") == contents(two)
    assert f"production: {first['version'][:12]} since" in emotion("rollback")
    assert "3 of 5" not in emotion("pull", tmp_path / "pulled")
    assert ModelStore(tmp_path / "pulled").manifest == ModelStore(one).manifest
    assert {p.name for p in (tmp_path / "pulled").rglob("*.tflite")} == {
        p.name for p in one.rglob("*.tflite")
    }
    with pytest.raises(StoreError, match="has no version before"):
        emotion("rollback")


def test_a_poll_is_one_request(wire: Wire, s3: str, tmp_path: Path) -> None:
    remote = RemoteStore(s3)
    version = promoted(remote, small_store(tmp_path / "one"))
    before = len(wire.asked)
    assert [remote.channel().version for _ in range(3)] == [version] * 3
    assert wire.asked[before:] == ["GET"] * 3


def test_the_pages_commands_run_as_they_stand(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"EMOTION_STORE": s3, "XDG_CACHE_HOME": str(tmp_path)}
    both = small_store(tmp_path / "older", precisions=("float16", "int8"))
    older = RemoteStore(s3).push(ModelStore(both)).version
    RemoteStore(s3).promote(older)
    wanted = ModelStore(small_store(tmp_path / "store", seed=1))
    version = RemoteStore(s3).push(wanted).version
    lines = [command.line for command in commands() if command.marker == "store"]
    assert lines[0] == "export EMOTION_STORE=s3://my-bucket/emotion"
    for line in lines[1:]:
        words = line.replace("VERSION", version[:12]).split()[1:]
        if words[1:] == ["push"]:
            words.append(str(wanted.root))  # the checkout's is large
        done = CliRunner().invoke(_typer, words, env=environment)
        assert done.exit_code == 0, done.output
        if words[1:2] == ["push"]:
            version = done.output.partition(":")[0]  # what the next line promotes
    served = RemoteStore(s3).channel()
    assert (served.before[0].version, len(served.before)) == (older, 1)  # rolled back before
    assert ModelStore(Path("mirror")).manifest == wanted.manifest
    int8 = ModelStore(Path("int8-store"))
    assert [record.name for record in int8.records] == ["mobilenet/int8"]
    assert RemoteStore(s3).manifest(RemoteStore(s3).version(served.version)) == int8.manifest


def test_a_bucket_that_is_not_there_is_named(s3: str, tmp_path: Path) -> None:
    remote = RemoteStore("s3://no-such-bucket/emotion")
    with pytest.raises(StoreError, match=r"^s3://no-such-bucket/emotion: there is no such bucket"):
        remote.push(ModelStore(small_store(tmp_path)))


def test_roll_back_walks_back_and_other_channels_stay(here: str, tmp_path: Path) -> None:
    remote = RemoteStore(here)
    versions = [remote.push(ModelStore(small_store(tmp_path / "s", n))).version for n in range(3)]
    for version in versions:
        remote.promote(version)
    remote.promote(versions[0], "staging")
    before = remote.channel()
    assert remote.promote(versions[2]) == before  # it is served already
    assert remote.rollback().version == versions[1]
    assert remote.rollback().version == versions[0]
    with pytest.raises(StoreError, match="no version before"):
        remote.rollback()
    assert remote.channel("staging").version == versions[0]
    assert remote.versions() == sorted(versions)
    for unset in ("", "abc", versions[0][:8] + "*"):
        with pytest.raises(StoreError, match="is no version: give 4 to 64"):
            remote.find(unset)
    with pytest.raises(StoreError, match="is no channel"):
        remote.promote(versions[0], "../blobs")


def test_a_promotion_in_the_same_moment_is_not_lost(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = Objects(s3)
    assert objects.exchange("channels/c.json", b"1", None)
    old = objects.tag("channels/c.json")
    assert objects.exchange("channels/c.json", b"2", old)
    assert not objects.exchange("channels/c.json", b"3", old)
    now = objects.tag("channels/c.json")
    for stale in (old, None):  # somebody wrote between our look and our write
        looks = iter([stale, now])
        with monkeypatch.context() as patch:
            patch.setattr(objects, "tag", lambda name, looks=looks: next(looks))
            assert not objects.exchange("channels/c.json", b"4", stale)
    assert objects.read("channels/c.json") == b"2"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("breaking", [damage, shorten])
def test_a_damaged_file_is_refused_by_name(here: str, tmp_path: Path, breaking: object) -> None:
    store, old = small_store(tmp_path / "store"), small_store(tmp_path / "old", seed=1)
    remote = RemoteStore(here)
    version = remote.push(ModelStore(store)).version
    remote.promote(version)
    name = ModelStore(store).records[0].file
    breaking(blob(here, store, name))  # type: ignore[operator]
    target = tmp_path / "old"
    before = contents(target)
    for _ in range(2):
        with pytest.raises(StoreError, match=rf"blobs/\w{{64}} \({name}\) is damaged"):
            pull(remote, version, target)
    after = {name: text for name, text in contents(target).items() if not name.startswith(".")}
    assert after == before
    with pytest.raises(StoreError, match=name):
        open_store(here, cache_dir=tmp_path / "cache")
    blob(here, store, name).unlink()
    remote.push(ModelStore(store))
    pull(remote, version, target)
    assert ModelStore(target).manifest == ModelStore(store).manifest
    assert old == target


def test_what_is_not_whole_is_not_promoted(here: str, tmp_path: Path) -> None:
    store = small_store(tmp_path / "store")
    remote = RemoteStore(here)
    version = remote.push(ModelStore(store)).version
    blob(here, store, "mobilenet/card.md").unlink()
    with pytest.raises(StoreError, match=r"lacks mobilenet/card\.md: push again"):
        remote.promote(version)
    listed = Path(here.removeprefix("file://")) / "versions" / f"{version}.json"
    listed.write_bytes(listed.read_bytes().replace(b"reports/report.md", b"reports/../../x.md"))
    with pytest.raises(StoreError, match="is damaged"):
        remote.promote(version)
    with pytest.raises(RemoteStoreError, match="there is no such object"):
        remote.promote("0" * 64)
    with pytest.raises(RemoteStoreError, match="has no channel"):
        remote.channel()
    artifact = store / ModelStore(store).records[0].file
    damage(artifact)
    with pytest.raises(ArtifactUnavailableError, match="is damaged"):
        remote.push(ModelStore(store))


def test_a_version_that_names_files_elsewhere_is_refused(here: str, tmp_path: Path) -> None:
    text = json.dumps(
        {"schema_version": 1, "files": [{"path": "../x.md", "sha256": "0" * 64, "bytes": 1}]}
    ).encode()
    version = hashlib.sha256(text).hexdigest()
    Objects(here).write(f"versions/{version}.json", text)
    with pytest.raises(StoreError, match=r"is damaged: files\.0\.path"):
        pull(RemoteStore(here), version, tmp_path / "store")
    assert not (tmp_path / "x.md").exists()


def test_an_interrupted_pull_goes_on(s3: str, wire: Wire, tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", precisions=("float32",))
    remote = RemoteStore(s3)
    version = remote.push(ModelStore(store)).version
    size = ModelStore(store).records[0].bytes
    wire.cut(after=12_000_000)  # within the second part of the artifact
    with pytest.raises(RemoteStoreError, match=s3):
        pull(remote, version, tmp_path / "new")
    wire.mend()
    assert not (tmp_path / "new" / "manifest.json").exists()
    done = pull(remote, version, tmp_path / "new")
    total = sum(len(content) for content in contents(store).values())
    assert done.fetched_bytes < total - 1_000_000
    assert done.fetched_bytes < size
    assert contents(tmp_path / "new") == contents(store)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server over what is pushed to ``here``; it knows no parts of files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "elsewhere").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "elsewhere"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_server_is_enough_to_read(
    here: str, web: str, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_store(tmp_path / "store", precisions=("float32", "int8"))
    remote = RemoteStore(here)
    remote.promote(remote.push(ModelStore(store)).version)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    classifier = Classifier(web)
    assert contents(classifier.store.root) == contents(store)
    assert tmp_path / "cache" in classifier.store.root.parents
    mine = classifier.predict(photo).faces[0].probabilities
    assert (mine == Classifier(store).predict(photo).faces[0].probabilities).all()
    for writing in (
        lambda: RemoteStore(web).push(ModelStore(store)),
        lambda: RemoteStore(web).rollback(),
    ):
        with pytest.raises(StoreError, match="a web server's store is only read"):
            writing()


def test_the_cache_repairs_itself_and_forgets_what_nobody_uses(here: str, tmp_path: Path) -> None:
    stores = [small_store(tmp_path / f"{n}", n) for n in range(2)]
    remote = RemoteStore(here)
    versions = [remote.push(ModelStore(store)).version for store in stores]
    remote.promote(versions[0])
    first = CachedStore(here, cache_dir=tmp_path / "cache").look()
    artifact = first.root / ModelStore(first.root).records[0].file
    damage(artifact)
    again = CachedStore(here, cache_dir=tmp_path / "cache").look()
    assert again == first
    assert contents(again.root) == contents(stores[0])
    remote.promote(versions[1])
    second = CachedStore(here, cache_dir=tmp_path / "cache").look()
    assert contents(second.root) == contents(stores[1])
    assert first.root.is_dir()  # who serves it may still load from it
    yesterday = time.time() - 2 * 24 * 3600
    cache = second.root.parent.parent
    for path in (first.root, *(cache / "blobs").iterdir()):
        os.utime(path, (yesterday, yesterday))
    remote.promote(remote.push(ModelStore(small_store(tmp_path / "2", 2))).version)
    third = CachedStore(here, cache_dir=tmp_path / "cache").look()
    assert not first.root.exists()
    held = {hashlib.sha256(c).hexdigest() for c in contents(third.root).values()}
    held |= {hashlib.sha256(c).hexdigest() for c in contents(second.root).values()}
    assert {path.name for path in (cache / "blobs").iterdir()} == held


@pytest.mark.parametrize(
    "url",
    [
        "s3://me:verysecret@models/x",
        "https://x.example/y?token=verysecret",
        "a::s3://me:verysecret@models/x",
        "https://me:verysecret@[x.example/y",
        "https://me:verysecret@x\u2100.example/y",
    ],
)
def test_no_url_may_hold_a_secret_and_none_is_shown(url: str) -> None:
    environment = {"EMOTION_STORE": url}
    serving = subprocess.run(
        [sys.executable, "-m", "service"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        timeout=60,
    )
    assert serving.returncode == 1
    assert "Credentials come from the environment" in serving.stderr
    assert serving.stderr.startswith("error: ")
    assert "verysecret" not in serving.stderr + serving.stdout


@pytest.mark.parametrize(
    "named",
    [
        "http://me:verysecret@127.0.0.1:9/models/x",
        "https://me:very/secret@proxy.example:8080",
        "https://models.example/x?X-Amz-Credential=me&X-Amz-Signature=verysecret",
        "x?sig=verysecret",
    ],
)
def test_no_secret_of_an_endpoint_or_a_redirect_is_shown(
    here: str, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    objects = Objects(here)

    def fails(*_: object, **__: object) -> bytes:
        raise OSError(f"403, message='Forbidden', url='{named}' (is it there?)")

    monkeypatch.setattr(objects._files, "cat_file", fails)
    with pytest.raises(RemoteStoreError) as failed:
        objects.read("channels/production.json")
    assert "secret" not in str(failed.value).removeprefix(here)
    assert "403, message='Forbidden', url='" in str(failed.value)
    assert str(failed.value).endswith("' (is it there?).")


def test_a_redirects_signature_and_an_endpoints_password_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Redirecting(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403 if "?" in self.path else 302)
            self.send_header("Location", "/elsewhere?X-Amz-Signature=verysecret")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RemoteStoreError, match="403") as failed:
            RemoteStore(f"http://127.0.0.1:{server.server_port}").channel()
        server.shutdown()
    assert "verysecret" not in str(failed.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:verysecret@127.0.0.1:9")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RemoteStoreError) as failed:
        RemoteStore("s3://models/x").channel()
    assert "verysecret" not in str(failed.value)


def test_without_the_extra_it_is_said_what_to_install() -> None:
    code = """
import sys
for name in ("fsspec", "s3fs", "platformdirs"):
    sys.modules[name] = None
from emotion import Classifier
from emotion.cli import _typer
Classifier()
Classifier("s3://models/emotion")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "pip install 'emotion-service[s3]'" in done.stderr


def served(server: Server) -> str:
    (name,) = httpx.get(f"{server.url}/readyz").json()["artifacts"]
    return str(name).partition("@")[2]


def versions_of(tmp_path: Path, remote: RemoteStore, seeds: int) -> list[tuple[Path, str, str]]:
    """Push stores; each with its version and its only artifact's."""
    found = []
    for seed in range(seeds):
        store = ModelStore(small_store(tmp_path / f"store{seed}", seed))
        found.append((store.root, remote.push(store).version, store.records[0].version))
    return found


def test_a_promotion_takes_over_under_load_and_so_does_a_roll_back(
    start_server: StartServer,
    s3: str,
    tmp_path: Path,
    crops: list[bytes],
) -> None:
    remote = RemoteStore(s3)
    (one, first, old), (two, second, new) = versions_of(tmp_path, remote, 2)
    remote.promote(first)
    classifiers = {old: Classifier(one), new: Classifier(two)}
    for crop in crops:  # until one tells the versions apart
        right = {
            version: classifier.predict(crop, faces="whole").faces[0].probabilities.tolist()
            for version, classifier in classifiers.items()
        }
        if right[old] != right[new]:
            break
    assert right[old] != right[new]
    settings = {"reload_seconds": 0.2, "deadline_seconds": 60, "cache_dir": tmp_path / "cache"}
    with (
        start_server(store=s3, workers=2, **settings) as server,
        traffic(server.url, [{"url": "/predict?faces=whole", "content": crop}], 3) as seen,
    ):
        seen.await_more(5)
        remote.promote(second)
        eventually(lambda: {served(server) for _ in range(8)} == {new})
        seen.await_more(5)
        remote.rollback()
        eventually(lambda: {served(server) for _ in range(8)} == {old})
        seen.await_more(5)
        assert httpx.get(f"{server.url}/reports/report.md").text == "# 0"
    assert not seen.errors
    order = []
    for response in seen.responses:
        assert response.status_code == 200, response.text
        answer = response.json()
        order.append(answer["version"])
        probabilities = answer["faces"][0]["probabilities"]
        assert list(probabilities.values()) == right[answer["version"]]
    assert order[0] == order[-1] == old
    assert new in order


def test_a_store_out_of_reach_or_damaged_changes_nothing(
    start_server: StartServer,
    s3: str,
    wire: Wire,
    tmp_path: Path,
    photo: bytes,
) -> None:
    remote = RemoteStore(s3)
    (_, first, old), (two, second, new) = versions_of(tmp_path, remote, 2)
    remote.promote(first)
    settings = {"store": s3, "reload_seconds": 0.2, "cache_dir": tmp_path / "cache"}
    problem = {"problem": "remote"}

    def predicts(server: Server, version: str) -> bool:
        answer = httpx.post(f"{server.url}/predict", content=photo, timeout=30)
        return bool(answer.json()["version"] == version)

    def reasons(server: Server) -> list[str]:
        return [str(event["reason"]) for event in events(server, OUT_OF_REACH)]

    try:
        with start_server(**settings) as server:
            wire.cut()
            eventually(lambda: sample(server.url, "emotion_store_problems", **problem) == 1)
            assert predicts(server, old)
            ready = httpx.get(f"{server.url}/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert "see the log" in ready.json()["unavailable"]["store"]
            assert "models" not in ready.json()["unavailable"]["store"]
            wire.mend()
            eventually(lambda: sample(server.url, "emotion_store_problems", **problem) == 0)
            assert events(server, "store within reach again")
            assert len(reasons(server)) == 1  # however often it looked
            assert s3 in reasons(server)[0]
            artifact = ModelStore(two).records[0]
            bucket = s3fs.S3FileSystem(skip_instance_cache=True)
            name = f"{s3}/blobs/{artifact.sha256}"
            bucket.pipe_file(name, bytes(artifact.bytes))
            remote.promote(second)
            eventually(lambda: any(f"({artifact.file}) is damaged" in r for r in reasons(server)))
            assert predicts(server, old)
        wire.cut()
        with start_server(**settings) as server:
            assert predicts(server, old)
            assert len(reasons(server)) == 1
        nothing_here = {"EMOTION_STORE": s3, "EMOTION_CACHE_DIR": str(tmp_path / "empty")}
        done = subprocess.run(
            [sys.executable, "-m", "service"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | nothing_here,
            timeout=60,
        )
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {s3}/channels/production.json: ")
    finally:
        wire.mend()
    bucket.rm(name)
    remote.push(ModelStore(two))
    assert open_store(s3, cache_dir=tmp_path / "cache").records[0].version == new


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    remote = RemoteStore(f"file://{tmp_path}/elsewhere")
    remote.promote(remote.push(ModelStore(small_store(tmp_path / "store"))).version)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match="Set EMOTION_CACHE_DIR"):
        open_store(remote.url, cache_dir=tmp_path / "cache")
