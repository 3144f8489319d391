"""Answers a shard of a job and writes its part."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pyarrow.parquet as pq

from cluster.plan import Item, read_shard
from emotion import Classifier
from emotion.batch import BatchError, Outcome, answer, read_picture, write_part
from emotion.classifier import Faces, NoFace
from emotion.cli.options import Setup
from emotion.detectors import DetectorName
from emotion.errors import UnreadableFileError
from emotion.results import Prediction


@dataclass(frozen=True)
class Job:
    """What decides the answers; another command on the same output must say the same."""

    source: str
    out: str
    store: str
    model: str
    precision: str
    version: str
    detector: DetectorName | None
    detector_dir: str | None
    data_dir: str | None
    faces: Faces
    no_face: NoFace
    max_pixels: int
    column: str
    shard: int

    def classifier(self) -> Classifier:
        """Open the store, with the same options on every node."""
        setup = Setup(
            detector=self.detector,
            store=self.store,
            detector_dir=Path(self.detector_dir) if self.detector_dir else None,
            data_dir=Path(self.data_dir) if self.data_dir else None,
            max_pixels=self.max_pixels,
        )
        return setup.classifier()

    @property
    def plan(self) -> Path:
        """The file that divides the pictures; the underscore hides it from readers of the parts."""
        return Path(self.out) / "_plan.parquet"


def part(job: Job, number: int) -> Path:
    """Where the answers of a shard go: the file is there, whole, once the shard is done."""
    return Path(job.out) / f"part-{number:06}.parquet"


class Worker:
    """A process with the models in memory; Ray starts it again where it dies."""

    def __init__(self, job: Job) -> None:
        """Open the store; raises BatchError where this node's has another version."""
        cv2.setNumThreads(1)
        self._job = job
        self._classifier = job.classifier()
        record = self._classifier.registry.get(job.model, job.precision).record
        if record.version != job.version:
            raise BatchError(
                f"{record.name}: the store {job.store} of this node has version {record.version}, "
                f"not {job.version}: bring the same store to every node."
            )
        self._artifact = {name: getattr(record, name) for name in ("model", "precision", "version")}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Answer the shard ``number``, unless it is done; twice at once writes the same twice."""
        number, before = row["number"], time.process_time()
        items = read_shard(self._job.plan, number)
        pictures = _Pictures(Path(self._job.source), self._job.column)
        outcomes = [self._answer(item, pictures) for item in items]
        write_part(outcomes, part(self._job, number), self._artifact)
        failed = sum(outcome.error is not None for outcome in outcomes)
        spent = time.process_time() - before
        return {"pictures": len(items), "failed": failed, "cpu_seconds": spent}

    def _answer(self, item: Item, pictures: "_Pictures") -> Outcome:
        if item["reason"]:
            return Outcome(item["file"], None, "unreadable-folder", item["reason"])
        return answer(_name(item), lambda: pictures.read(item), self._predict)

    def _predict(self, content: bytes) -> Prediction:
        job = self._job
        return self._classifier.predict(
            content, job.model, job.precision, faces=job.faces, no_face=job.no_face
        )


def _name(item: Item) -> bytes:
    """Name a picture: its path, or ``table.parquet#row``."""
    return item["file"] if item["row"] is None else item["file"] + b"#%d" % item["row"]


class _Pictures:
    """Reads a shard's pictures, of a table one row group at a time."""

    def __init__(self, source: Path, column: str) -> None:
        self._source, self._column = source, column
        self._held: tuple[bytes, range, list[Any]] = (b"", range(0), [])

    def read(self, item: Item) -> bytes:
        if item["row"] is None:
            return read_picture(self._source, item["file"])
        file, rows, values = self._held
        if file != item["file"] or item["row"] not in rows:
            self._held = _, rows, values = self._row_group(item)
        value = values[item["row"] - rows.start].as_py()
        content = value["bytes"] if isinstance(value, dict) else value  # as Hugging Face writes
        if not isinstance(content, bytes):
            raise UnreadableFileError(f"No bytes in the column {self._column}.")
        return content

    def _row_group(self, item: Item) -> tuple[bytes, range, list[Any]]:
        table = pq.ParquetFile(self._source / os.fsdecode(item["file"]))
        start = 0
        for group in range(table.num_row_groups):
            end = start + table.metadata.row_group(group).num_rows
            if item["row"] < end:
                column = table.read_row_group(group, columns=[self._column])[self._column]
                return item["file"], range(start, end), column
            start = end
        raise UnreadableFileError(f"The table {table} has become shorter.")
