"""Commands that begin jobs in one folder at one moment; no cluster is needed."""

import errno
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from cluster.batch import _begin
from cluster.plan import read_shard, shards
from cluster.worker import Job
from emotion.batch import BatchError, replacing
from tests.conftest import ROOT

PICTURES, ROUNDS, DRIVERS = 12, 20, 4
JOB = Job(
    source="",
    out="",
    store="",
    model="mobilenet",
    precision="int8",
    version="",
    detector=None,
    detector_dir=None,
    data_dir=None,
    faces="largest",
    no_face="error",
    max_pixels=1,
    column="image",
    shard=1,
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(PICTURES):
        (folder / f"{number}.jpg").symlink_to(ROOT / "examples" / "astronaut.jpg")
    return folder


def begun(jobs: list[Job]) -> list[bool | BatchError]:
    """Begin them all at one moment; of each whether it found the job begun, or what it said."""
    together = Barrier(len(jobs))

    def begin(job: Job) -> bool | BatchError:
        together.wait()
        try:
            return _begin(job)
        except BatchError as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(begin, jobs))


def test_one_of_several_jobs_gets_the_folder(source: Path, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        out = tmp_path / str(number)
        jobs = [replace(JOB, source=str(source), out=str(out), shard=n + 1) for n in range(DRIVERS)]
        answers = begun(jobs)
        (winner,) = (job for job, answer in zip(jobs, answers, strict=True) if answer is False)
        assert sum(isinstance(answer, BatchError) for answer in answers) == DRIVERS - 1
        assert shards(winner.plan) == PICTURES // winner.shard
        assert {path.name for path in out.iterdir()} == {"_job.json", "_plan.parquet"}


@pytest.mark.parametrize("links", [True, False])
def test_one_job_begun_several_times_is_one(
    source: Path, tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    if not links:  # as on a share that has none
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    for number in range(ROUNDS):
        job = replace(JOB, source=str(source), out=str(tmp_path / str(number)), shard=5)
        assert sorted(begun([job] * DRIVERS)) == [False] + [True] * (DRIVERS - 1)
        planned = [
            item["file"] for n in range(shards(job.plan)) for item in read_shard(job.plan, n)
        ]
        assert len(planned) == len(set(planned)) == PICTURES


def test_it_goes_on_where_it_was_killed_before_the_plan(source: Path, tmp_path: Path) -> None:
    job = replace(JOB, source=str(source), out=str(tmp_path))
    assert not _begin(job)
    job.plan.unlink()
    assert _begin(job)
    assert shards(job.plan) == PICTURES


def test_an_earlier_jobs_answers_are_no_pictures(source: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(source, pictures)
    earlier = replace(JOB, source=str(pictures), out=str(pictures / "answers"))
    assert not _begin(earlier)
    for name in ("part-0.parquet", "_hidden.parquet"):
        shutil.copy(earlier.plan, pictures / "answers" / name)
    shutil.copy(earlier.plan, pictures / "_hidden.parquet")
    job = replace(JOB, source=str(pictures), out=str(tmp_path / "answers"))
    assert not _begin(job)
    assert sum(len(read_shard(job.plan, n)) for n in range(shards(job.plan))) == PICTURES


def test_two_that_write_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "part"
    with replacing(path) as one:
        one.write_bytes(b"one")
        with replacing(path) as two:
            two.write_bytes(b"two, which is longer")
        assert path.read_bytes() == b"two, which is longer"
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
