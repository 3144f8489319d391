"""The job on Ray Data: killed, gone on with, and equal to the library's answers."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from ray.cluster_utils import Cluster

from emotion import Classifier
from emotion.errors import EmotionError
from tests.clients import eventually
from tests.cluster.nodes import processes
from tests.conftest import ROOT

PICTURES, SHARD = 300, 10
pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("nodes")]


def job(source: Path, out: Path, *more: object) -> list[str]:
    """The command, on the cluster that this process is connected to."""
    address = ray.get_runtime_context().gcs_address
    options = ["--out", out, "--shard", SHARD, "--workers", 2, "--json", "--address", address]
    options += more
    return [sys.executable, "-m", "cluster.batch", str(source), *map(str, options)]


def run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of many sizes in nested folders, and two files that are none."""
    root = tmp_path_factory.mktemp("pictures")
    face = cv2.imread(str(ROOT / "examples" / "astronaut.jpg"))
    for number in range(PICTURES - 2):
        place = root / f"set {number % 3}"
        place.mkdir(exist_ok=True)
        side = 300 + number
        cv2.imwrite(str(place / f"{number:03}.jpg"), cv2.resize(face, (side, side)))
    (root / "set 1" / "empty.jpg").touch()
    (root / "text.png").write_text("no picture")
    return root


def check(rows: list[dict[str, Any]], pictures: dict[str, bytes], classifier: Classifier) -> None:
    """Each picture once, as the library answers it."""
    assert Counter(row["file"] for row in rows) == Counter(list(pictures))
    for row in rows:
        try:
            (face,) = classifier.predict(pictures[row["file"]]).faces
        except EmotionError as error:
            assert row["reason"] == str(error)
            assert row["error"]
        else:
            assert row["error"] is None
            assert row["emotion"] == face.emotion
            assert row["confidence"] == pytest.approx(face.confidence)
            assert face.face is not None
            assert row["width"] == face.face.box.width


def test_killed_it_goes_on_and_answers_each_picture_once(
    folder: Path, tmp_path: Path, classifier: Classifier
) -> None:
    out = tmp_path / "answers"
    with subprocess.Popen(
        job(folder, out), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        eventually(lambda: process.poll() is not None or len(parts(out)) > 3, 200)
        process.send_signal(signal.SIGKILL)
    written = parts(out)
    before = {part: part.stat().st_mtime_ns for part in written}
    assert 0 < len(written) < PICTURES // SHARD
    (out / ".part-000029.parquet.partial").write_bytes(b"what a killed worker leaves")

    refused = subprocess.run(
        job(folder, out, "--precision", "float32"), cwd=ROOT, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "precision=int8" in refused.stderr
    assert "Traceback" not in refused.stderr

    summary = run(job(folder, out))
    assert summary["resumed"]
    assert summary["shards"] == PICTURES // SHARD - len(parts_of(before, out))
    pictures = {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("**/*.*")}
    check(pq.read_table(out).to_pylist(), pictures, classifier)
    assert run(job(folder, out))["shards"] == 0


def test_a_worker_that_is_killed_is_started_again(
    nodes: Cluster, folder: Path, tmp_path: Path, classifier: Classifier
) -> None:
    out = tmp_path / "answers"
    with subprocess.Popen(
        job(folder, out), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        eventually(lambda: driver.poll() is not None or len(parts(out)) > 3, 200)
        first, _ = processes(nodes, "MapWorker")
        os.kill(first, signal.SIGKILL)
        assert len(parts(out)) < PICTURES // SHARD
        said, complaints = driver.communicate(timeout=300)
    assert driver.returncode == 0, complaints
    summary = json.loads(said.splitlines()[-1])
    assert summary["pictures"] == PICTURES
    pictures = {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("**/*.*")}
    check(pq.read_table(out).to_pylist(), pictures, classifier)


def parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*.parquet"))


def parts_of(before: dict[Path, int], out: Path) -> list[Path]:
    """Those that were not written again."""
    return [part for part in parts(out) if before.get(part) == part.stat().st_mtime_ns]


def test_a_table_of_pictures(folder: Path, tmp_path: Path, classifier: Classifier) -> None:
    source, out = tmp_path / "tables", tmp_path / "answers"
    (source / "more").mkdir(parents=True)
    files = sorted(folder.glob("**/*.*"))[-30:]
    contents: list[bytes | None] = [file.read_bytes() for file in files]
    pq.write_table(pa.table({"image": contents[:17]}), source / "a.parquet", row_group_size=8)
    nested = [{"bytes": content, "path": "x"} for content in contents[17:]]
    pq.write_table(pa.table({"image": nested}), source / "more" / "b.parquet")
    run(job(source, out))
    names = [f"a.parquet#{n}" for n in range(17)] + [f"more/b.parquet#{n}" for n in range(13)]
    check(pq.read_table(out).to_pylist(), dict(zip(names, contents, strict=True)), classifier)


@pytest.mark.parametrize(
    ("source", "message"), [("empty", "No pictures"), ("table", "no column image, but other")]
)
def test_what_cannot_begin_says_why(tmp_path: Path, source: str, message: str) -> None:
    place = tmp_path / source
    place.mkdir()
    if source == "table":
        pq.write_table(pa.table({"other": [1]}), place / "a.parquet")
    done = subprocess.run(
        job(place, tmp_path / "out"), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
