"""``emotion batch`` on real folders, killed and resumed."""

import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import pytest

from emotion import Classifier
from emotion.batch import BatchError, Journal, answer_all
from service.problems import KINDS
from tests.conftest import ROOT

PICTURES = 150


def batch(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emotion", "batch", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )


def read(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces in nested folders, and what else lies about on disks."""
    root = tmp_path_factory.mktemp("pictures")
    face = cv2.imread(str(ROOT / "examples" / "astronaut.jpg"))
    for number in range(PICTURES):
        place = root / f"set {number % 3}" / "deep"
        place.mkdir(parents=True, exist_ok=True)
        side = 400 + 2 * number
        cv2.imwrite(str(place / f"{number:03}.jpg"), cv2.resize(face, (side, side)))
    (root / "empty.jpg").touch()
    (root / "text.png").write_text("no picture")
    (root / "notes.txt").write_text("ignored")
    (root / "gone.jpg").symlink_to("nowhere")
    (root / "loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "pipe.bmp")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.JPG")).write_bytes(
        (ROOT / "examples" / "astronaut.jpg").read_bytes()
    )
    return root


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "results.csv"
    done = batch(folder, "--out", out, "--json")
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["files"], summary["failed"], summary["rows"]) == (PICTURES + 5, 4, PICTURES + 1)
    assert summary["others"] == {".txt": 1}
    return out


def test_every_picture_has_a_row_and_every_bad_file_a_reason(folder: Path, whole: Path) -> None:
    rows = read(whole)
    expected = [str(path.relative_to(folder)) for path in folder.glob("set */deep/*.jpg")]
    assert sorted(row["file"] for row in rows) == sorted([*expected, "\\xff.JPG"])
    assert {row["emotion"] for row in rows} == {"happy"}
    failed = {row["file"]: row["error"] for row in read(Path(f"{whole}.errors.csv"))}
    assert failed == {
        "empty.jpg": "unreadable-image",
        "gone.jpg": "unreadable-file",
        "pipe.bmp": "unreadable-file",
        "text.png": "unsupported-format",
    }
    assert {"unreadable-image", "unsupported-format"} <= {kind.name for kind in KINDS.values()}
    names = {whole.name, f"{whole.name}.errors.csv"}
    assert {path.name for path in whole.parent.iterdir()} == names


def test_killed_at_any_moment_it_goes_on(folder: Path, whole: Path, tmp_path: Path) -> None:
    out, journal = tmp_path / "results.csv", tmp_path / "results.csv.journal"
    command = [sys.executable, "-m", "emotion", "batch", str(folder), "--out", str(out)]
    for commits in (0, 3):  # the third is the second of answers, so the first is whole
        with subprocess.Popen(
            [*command, "--threads", "1"], cwd=ROOT, stderr=subprocess.DEVNULL
        ) as process:
            wait_for(lambda: journal.exists() and journal.stat().st_size > 0)
            for _ in range(commits):
                time.sleep(0.2)
                before = journal.stat().st_mtime_ns
                wait_for(lambda seen=before: journal.stat().st_mtime_ns != seen)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()
    with closing(sqlite3.connect(journal)) as database:
        done = database.execute("SELECT count(faces) FROM files").fetchone()[0]
    assert 0 < done < PICTURES
    other = batch(folder, "--out", out, "--precision", "float32")
    assert other.returncode == 1
    assert "precision=int8" in other.stderr
    again = Path(shutil.copy(journal, tmp_path / "again.csv.journal"))
    resumed = batch(folder, "--out", out, "--json")
    assert resumed.returncode == 3, resumed.stderr
    summary = json.loads(resumed.stdout)
    assert summary["resumed"]
    assert done <= summary["done_before"] < summary["files"]
    told = batch(folder, "--out", again.with_suffix("")).stdout
    first = re.match(r"(\d+) pictures, (\d+) of them before, in ([\d.]+) s \((\d+)/s\)", told)
    assert first, told
    files, before, seconds, rate = map(float, first.groups())
    assert (files, before) == (summary["files"], summary["done_before"])
    assert rate == pytest.approx((files - before) / seconds, rel=0.1, abs=1)
    assert out.read_bytes() == whole.read_bytes()
    errors = (Path(f"{table}.errors.csv").read_bytes() for table in (out, whole))
    assert len(set(errors)) == 1


def test_parquet_and_json_lines_say_the_same(folder: Path, whole: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for kind in ("jsonl", "parquet"):
        assert batch(folder, "--out", tmp_path / f"results.{kind}").returncode == 3
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    rows = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    expected = read(whole)
    for line, row, text in zip(lines, rows, expected, strict=True):
        assert line["file"] == row["file"] == text["file"]
        assert line["box"]["x"] == row["x"] == int(text["x"])
        assert line["probabilities"]["happy"] == pytest.approx(row["happy"])
        assert row["happy"] == pytest.approx(float(text["happy"]))


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [("a.txt", 2, ".parquet"), ("no/such/a.csv", 1, "There is no folder"), ("a.csv", 1, "No pict")],
)
def test_what_cannot_begin_says_why(tmp_path: Path, name: str, status: int, message: str) -> None:
    done = batch(tmp_path, "--out", tmp_path / name)
    assert done.returncode == status
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_output_is_not_replaced_unasked(folder: Path, whole: Path) -> None:
    before = whole.read_bytes()
    done = batch(folder, "--out", whole)
    assert done.returncode == 1
    assert "--overwrite" in done.stderr
    assert whole.read_bytes() == before


def test_interrupted_it_says_so_and_goes_on(folder: Path, whole: Path, tmp_path: Path) -> None:
    out, journal = tmp_path / "results.csv", tmp_path / "results.csv.journal"
    command = [sys.executable, "-m", "emotion", "batch", str(folder), "--out", str(out)]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    with subprocess.Popen(
        [*command, "--threads", "1", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: journal.exists() and journal.stat().st_size > 0)
        process.send_signal(signal.SIGINT)
        told, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Run the same command" in said
    assert json.loads(told)["error"] == "interrupted"
    done = batch(folder, "--out", out)
    assert done.returncode == 3
    assert "passed over, being no pictures by their names: 1 .txt" in done.stdout
    assert out.read_bytes() == whole.read_bytes()


def test_an_interrupt_between_two_transactions_does_no_harm(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", {})
    journal._db.execute("COMMIT")
    journal.plan([(b"a.jpg", None)])
    assert journal.counts() == (1, 0, 0)
    journal.close()


def test_a_full_disk_is_named(tmp_path: Path, classifier: Classifier) -> None:
    journal = Journal(tmp_path / "journal", {})
    journal.plan([(b"%03d.jpg" % number, None) for number in range(500)])
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(BatchError, match=f"disk of {tmp_path} is full"):
        list(answer_all(journal, tmp_path, classifier.predict, 2))
    journal.close()


def test_an_overwriting_run_goes_on_and_replaces_others(tmp_path: Path) -> None:
    def resumed(options: dict[str, str], anew: bool) -> bool:
        journal = Journal(tmp_path / "journal", options, anew=anew)
        journal.close()
        return journal.resumed

    options = {"precision": "int8"}
    assert not resumed(options, anew=False)
    assert not resumed(options, anew=True)
    assert resumed(options, anew=True)
    assert resumed(options, anew=False)
    assert not resumed({"precision": "float32"}, anew=True)


def test_a_hostile_name_is_one_harmless_cell(tmp_path: Path) -> None:
    photo = (ROOT / "examples" / "astronaut.jpg").read_bytes()
    names = ("=1+1.jpg", "-x.jpg", "@a.jpg", "a\rb.jpg", "a\nb.jpg", "a\x1b[31m.jpg", 'q",.jpg')
    for name in names:
        (tmp_path / name).write_bytes(photo)
    (tmp_path / "=bad.jpg").touch()
    assert batch(tmp_path, "--out", tmp_path / "results.csv").returncode == 3
    expected = ["./-x.jpg", "./=1+1.jpg", "./@a.jpg", "a\\nb.jpg", "a\\rb.jpg", "a\\x1b[31m.jpg"]
    rows = read(tmp_path / "results.csv")
    assert sorted(row["file"] for row in rows) == sorted([*expected, 'q",.jpg'])
    assert {row["emotion"] for row in rows} == {"happy"}
    assert [row["file"] for row in read(tmp_path / "results.csv.errors.csv")] == ["./=bad.jpg"]
