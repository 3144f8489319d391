import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image

from benchmarks.server import free_port
from emotion import EMOTIONS, Classifier
from emotion.machine import machine
from emotion.store import ModelStore
from tests.command import PHOTO, run
from tests.conftest import ROOT


def test_predict_as_json_is_the_librarys_answer(classifier: Classifier) -> None:
    done = run("predict", PHOTO, "--model", "mobilenet", "--precision", "float16", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    expected = classifier.predict(PHOTO, "mobilenet", "float16").faces[0]
    assert answer["faces"][0]["probabilities"] == dict(
        zip(EMOTIONS, expected.probabilities.tolist(), strict=True)
    )
    assert answer["image"] == {"width": 512, "height": 512}
    assert set(answer["latency_ms"]) == {"decode", "detect", "preprocess", "inference", "total"}


def test_predict_as_a_table() -> None:
    done = run("predict", PHOTO)
    assert done.returncode == 0, done.stderr
    assert all(emotion in done.stdout for emotion in EMOTIONS)


def test_models(classifier: Classifier) -> None:
    listed = json.loads(run("models", "--json").stdout)
    assert [a["version"] for a in listed["artifacts"]] == [
        r.version for r in classifier.store.records
    ]
    table = run("models").stdout
    assert all(r.version in table for r in classifier.store.records)


def test_a_store_without_float32_is_a_copy(classifier: Classifier, tmp_path: Path) -> None:
    listed = json.loads(run("models", "copy", tmp_path, "--precisions", "int8", "--json").stdout)
    wanted = [record for record in classifier.store.records if record.precision == "int8"]
    copied = ModelStore(tmp_path)
    assert [record.name for record in copied.records] == listed
    assert list(copied.records) == wanted
    assert copied.detectors == classifier.store.detectors
    for record in wanted:
        assert copied.read(record) == classifier.store.read(record)
    card = copied.card("mobilenet")
    assert card == f"{classifier.store.card('mobilenet')}\nThis store holds int8 alone.\n"
    assert copied.card("detector") == classifier.store.card("detector")
    assert (tmp_path / "reports" / "report.md").is_file()
    again = run("models", "copy", tmp_path, "--precisions", "int8")
    assert (again.returncode, "has a store already" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (("predict", ROOT / "README.md"), {}, "not an image of a served format"),
        (("predict", PHOTO, "--model", "alexnet"), {}, "no artifact alexnet/int8"),
        (("predict", PHOTO), {"EMOTION_STORE": "/nowhere"}, "No model store"),
        (("models", "--store", "/nowhere"), {}, "No model store"),
        (("models", "copy", "/nowhere", "--precisions", "int4"), {}, "has no artifact in int4"),
        (
            ("predict", PHOTO, "--detector", "caffe", "--detector-dir", "/nowhere"),
            {},
            "No such file",
        ),
    ],
)
def test_errors_are_one_sentence_and_a_status(
    arguments: tuple[object, ...], environment: dict[str, str], message: str
) -> None:
    done = run(*arguments, **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("predict", ROOT / "README.md"), "unsupported-format"),
        (("predict", PHOTO, "--model", "alexnet"), "unknown-artifact"),
        (("compare", PHOTO, "--face", 3), "unknown-face"),
        (("models", "--store", "/nowhere"), "store"),
        (("models", "copy", "/proc/nowhere"), "store"),
    ],
)
def test_with_json_an_error_is_json_too(arguments: tuple[object, ...], kind: str) -> None:
    done = run(*arguments, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told.keys() == {"error", "detail"}
    assert told["error"] == kind
    assert done.stderr.endswith(f"error: {told['detail']}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("predict",), "Missing argument"),
        (("predict", PHOTO, "--modle", "mobilenet"), "--modle"),
        (("show", PHOTO), "No such command 'show'"),
        (("batch", ROOT, "--out", "faces.txt"), ".parquet"),
    ],
)
def test_with_json_wrong_usage_is_json_too(arguments: tuple[object, ...], said: str) -> None:
    done = run(*arguments, "--json")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert told.keys() == {"error", "detail"}
    assert told["error"] == "usage"
    assert said in told["detail"]
    assert "Usage: emotion" in done.stderr


def test_another_face_is_compared(http: httpx.Client, collage: bytes, tmp_path: Path) -> None:
    (tmp_path / "three.png").write_bytes(collage)
    options = ("--models", "mobilenet", "--json")
    shown = json.loads(run("compare", tmp_path / "three.png", "--face", 2, *options).stdout)
    answer = http.post("/compare?models=mobilenet&face=2", content=collage).json()
    assert shown["box"] == answer["box"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("emotion ", {"predict", "compare", "bench", "batch", "serve", "models"}),
        ("emotion predict --model ", {"mobilenet", "resnet50", "vgg16"}),
        ("emotion compare --precisions ", {"float32", "float16", "int8"}),
        ("emotion predict --precision ", {"float32", "float16", "int8"}),
        ("emotion models ", {"copy", "push", "pull", "promote", "rollback"}),
    ],
)
def test_the_shell_completes(typed: str, offered: set[str]) -> None:
    """As the script of --install-completion asks."""
    script = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_EMOTION_COMPLETE=complete_bash" in script.stdout
    asked = {"_EMOTION_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    done = run(**asked, COMP_CWORD=str(len(typed.split())))
    assert offered <= set(done.stdout.split()), done.stderr


def test_a_missing_picture_is_a_usage_error() -> None:
    assert run("predict", "nowhere.jpg").returncode == 2


def test_json_has_the_form_of_the_http_answers(http: httpx.Client) -> None:
    content = PHOTO.read_bytes()
    for command in ("predict", "compare"):
        done = run(command, PHOTO, "--json")
        assert done.returncode == 0, done.stderr
        shown, answer = json.loads(done.stdout), http.post(f"/{command}", content=content).json()
        assert set(answer) - set(shown) == {"request_id"}
        assert set(answer["latency_ms"]) - set(shown["latency_ms"]) == {"queue"}
        for name in ("image", "detector", "box", "version", "models"):
            assert shown.get(name) == answer.get(name)
        for mine, theirs in zip(
            shown.get("artifacts", []), answer.get("artifacts", []), strict=True
        ):
            assert set(mine) == set(theirs)
            assert mine["probabilities"] == theirs["probabilities"]
        assert shown.get("faces") == answer.get("faces")


def test_bench_times_every_stage_and_draws_it(classifier: Classifier, tmp_path: Path) -> None:
    plot = tmp_path / "bench.png"
    done = run("bench", PHOTO, "--repeats", 3, "--plot", plot, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["machine"] == machine()
    names = [(a["model"], a["precision"]) for a in answer["artifacts"]]
    assert names == [(r.model, r.precision) for r in classifier.store.records]
    for artifact in answer["artifacts"]:
        stages = artifact["latency_ms"]
        assert all(0 < stage["p50"] <= stage["p95"] for stage in stages.values())
        parts = [stages[name]["p50"] for name in ("decode", "detect", "inference")]
        assert stages["total"]["p95"] > max(parts)
        if artifact["precision"] == "float32":
            assert artifact["speedup_over_float32"] == {"inference": 1, "total": 1}
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG"


@pytest.mark.parametrize(
    ("stop", "workers", "status"),
    [(signal.SIGTERM, 1, -signal.SIGTERM), (signal.SIGINT, 1, 0), (signal.SIGTERM, 2, 0)],
)
def test_serve_answers_as_the_service_does(stop: int, workers: int, status: int) -> None:
    port = free_port()
    options = ["--port", str(port), "--preload", "none", "--threads", "1"]
    options += ["--workers", str(workers)]
    command = [sys.executable, "-m", "emotion", "serve", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            transport = httpx.HTTPTransport(retries=10)
            with httpx.Client(transport=transport, timeout=60) as client:
                ready = client.get(f"http://127.0.0.1:{port}/readyz").json()
            assert (ready["status"], ready["artifacts"]) == ("ready", [])
        finally:
            process.send_signal(stop)
    assert (
        process.returncode == status
    )  # as --help tells; uvicorn drains, then raises SIGTERM again


def test_a_wrong_setting_of_serve_is_a_usage_error() -> None:
    done = run("serve", "--port", "99999")
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_help_tells_the_exit_statuses() -> None:
    shown = run("batch", "--help").stdout
    assert "Exit status" in shown
    assert "130" in shown


def test_names_are_neither_markup_nor_control_codes(tmp_path: Path) -> None:
    photo = tmp_path / "[bold]r\x1b[31m\udcff.jpg"
    photo.write_bytes(PHOTO.read_bytes())
    for command in ("predict", "compare"):
        done = run(command, photo)
        assert done.returncode == 0, done.stderr
        assert "[bold]r\\x1b[31m\\xff.jpg" in done.stdout
    store = tmp_path / "s[" / "x]"
    store.parent.mkdir()
    store.symlink_to(ROOT / "model_store", target_is_directory=True)
    assert str(store) in run("models", "--store", store).stdout
    done = run("predict", tmp_path / "nowhere\x1b[31m.jpg")
    assert "\x1b[31m" not in done.stderr


def test_tables_are_whole_in_a_pipe(tmp_path: Path) -> None:
    photo = tmp_path / f"{'long' * 50}.jpg"
    photo.write_bytes(PHOTO.read_bytes())
    for command in ("compare", "bench"):
        options = ("--repeats", 1, "--models", "mobilenet")
        shown = run(command, photo, *options, COLUMNS="30").stdout
        assert photo.name in shown
        assert shown.count("mobilenet") >= 3


def test_a_damaged_artifact_is_left_out_and_named(classifier: Classifier, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(ROOT / "model_store", store)
    records = classifier.store.records
    (store / records[0].file).write_bytes(b"damaged")
    for command in ("compare", "bench"):
        done = run(command, PHOTO, "--repeats", 1, "--store", store, "--json")
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["artifacts"]) == len(records) - 1
        assert "left out: " in done.stderr
        assert records[0].file in done.stderr or records[0].name in done.stderr
    alone = ("--models", records[0].model, "--precisions", records[0].precision)
    assert run("compare", PHOTO, *alone, "--store", store).returncode == 1
