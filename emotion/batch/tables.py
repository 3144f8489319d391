"""A finished journal as a table: CSV, JSON lines or Parquet."""

import csv
import errno
import importlib.util
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from emotion.batch.journal import BatchError, Journal, Outcome
from emotion.labels import EMOTIONS
from emotion.printable import printable

Row: TypeAlias = dict[str, Any]
BOX = ("x", "y", "width", "height")
COLUMNS = (
    *("file", "face", *BOX, "score", "emotion", "confidence", *EMOTIONS),
    *("model", "precision", "version"),
)
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # and their full-width forms, as OWASP advises
_ROW_GROUP = 20_000  # rows in memory at once


def errors_file(out: Path) -> Path:
    """Where the failed files are listed: results.csv has results.csv.errors.csv."""
    return out.with_name(f"{out.name}.errors.csv")


def require(out: Path) -> None:
    """Raise BatchError where the output's format needs a package that is missing."""
    if out.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise BatchError(
            "Parquet needs pyarrow: in the checkout, pip install -e '.[batch]', or choose an --out "
            "that ends in .csv or .jsonl."
        )


def write_tables(journal: Journal, out: Path, artifact: Row) -> int:
    """Write one row per face to ``out``, and the failed files, if any, beside it.

    Both appear whole or not at all.

    Args:
        journal: of a finished run.
        out: its suffix says the format.
        artifact: model, precision and version, repeated in each row.

    Returns:
        The number of rows.

    Raises:
        OSError: the output cannot be written.
    """
    failures = errors_file(out)
    if journal.failures():
        with replacing(failures) as temporary:
            _write_failures(journal, temporary)
    else:
        failures.unlink(missing_ok=True)
    rows = 0

    def counted() -> Iterator[Row]:
        nonlocal rows
        for row in _face_rows(journal.outcomes(), artifact):
            rows += 1
            yield row

    with replacing(out) as temporary:
        FORMATS[out.suffix.lower()](counted(), temporary)
    return rows


def write_part(outcomes: Iterable[Outcome], part: Path, artifact: Row) -> None:
    """Write a part of a large table as Parquet, whole or not at all.

    It has one row per face and, with ``error`` and ``reason``, one per failed file.

    Args:
        outcomes: of the part's files; all fit into memory.
        part: the file to write.
        artifact: model, precision and version, repeated in each row.

    Raises:
        OSError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Row] = []
    for outcome in outcomes:
        if outcome.error:
            why = {"error": outcome.error, "reason": printable(outcome.reason or "")}
            rows.append({"file": text(outcome.path), **why, **artifact})
        rows += map(_flat, _face_rows([outcome], artifact))
    schema = _parquet_schema()
    for name in ("error", "reason"):
        schema = schema.append(pa.field(name, pa.string()))
    with replacing(part) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary)


def text(path: bytes) -> str:
    """Show a relative path; one that a spreadsheet would compute begins with ./, as it may."""
    shown = printable(path)
    return f"./{shown}" if shown.startswith(_FORMULA) else shown


def _face_rows(outcomes: Iterable[Outcome], artifact: Row) -> Iterator[Row]:
    for outcome in outcomes:
        for number, face in enumerate(outcome.faces or ()):
            yield {"file": text(outcome.path), "face": number, **face, **artifact}


def _flat(row: Row) -> Row:
    return {**row, **(row["box"] or {}), **row["probabilities"]}


def _write_csv(rows: Iterable[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_flat, rows))


def _write_jsonl(rows: Iterable[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _parquet_schema() -> Any:
    import pyarrow as pa

    kinds = dict.fromkeys(COLUMNS, pa.string())
    kinds |= dict.fromkeys(("face", *BOX), pa.int32())
    kinds |= dict.fromkeys(("score", "confidence", *EMOTIONS), pa.float32())
    return pa.schema(list(kinds.items()))


def _write_parquet(rows: Iterable[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _parquet_schema()
    flat = map(_flat, rows)
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(flat, _ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))


FORMATS: dict[str, Callable[[Iterable[Row], Path], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def _write_failures(journal: Journal, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "error", "reason"))
        for outcome in journal.outcomes():
            if outcome.error:
                writer.writerow(
                    (text(outcome.path), outcome.error, printable(outcome.reason or ""))
                )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a temporary path, and move what was written there to ``path`` if all went well.

    The path is this call's alone: two that write the same at once do not mix.
    """
    with _beside(path) as temporary:
        yield temporary
        temporary.replace(path)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Do as ``replacing``, but raise FileExistsError where ``path`` is there by then."""
    with _beside(path) as temporary:
        yield temporary
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise
        except OSError:  # shares may have no links
            _rename_in_turn(temporary, path)


def _rename_in_turn(temporary: Path, path: Path, seconds: float = 10) -> None:
    """Rename unless the name is taken; those who do so at once wait for each other by a folder."""
    turn = path.with_name(f".{path.name}.turn")
    until = time.monotonic() + seconds
    while True:
        try:
            turn.mkdir()
            break
        except FileExistsError:
            if time.monotonic() > until:
                left = "it was left by a job that was killed: delete it"
                raise TimeoutError(errno.ETIMEDOUT, left, str(turn)) from None
            time.sleep(0.02)
    try:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        temporary.replace(path)
    finally:
        turn.rmdir()


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield temporary
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk has a name
    finally:
        temporary.unlink(missing_ok=True)
