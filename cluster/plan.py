"""What a job has to do, fixed once in a Parquet file: a row group per shard, a row per picture."""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from emotion.batch import BatchError, creating, find_pictures


class Item(TypedDict):
    """A picture."""

    file: bytes  # relative to the source: the picture, or a table of pictures
    row: int | None  # of the table
    reason: str | None  # why there is no picture


_SCHEMA = pa.schema([("file", pa.binary()), ("row", pa.int64()), ("reason", pa.string())])


def write_plan(source: Path, plan: Path, shard: int, column: str) -> None:
    """Divide the pictures of a folder, or of a Parquet file or a folder of these, into shards.

    Args:
        source: where the pictures are. A folder with Parquet files is taken as these.
        plan: the file to write, whole or not at all; one that is there by then stays.
        shard: most pictures of a shard.
        column: has the pictures' bytes, in a table.

    Raises:
        BatchError: there are no pictures, or no such column.
        OSError: the source cannot be read, or the plan not be written.
    """
    tables = [source] if source.is_file() else _tables(source)
    found = chain.from_iterable(_rows(source, table, shard, column) for table in tables)
    pictures = 0
    with suppress(FileExistsError), creating(plan) as temporary:
        with pq.ParquetWriter(temporary, _SCHEMA) as writer:
            for items in found if tables else _files(source, shard):
                writer.write_table(pa.Table.from_pylist(items, _SCHEMA), row_group_size=shard)
                pictures += len(items)
        if not pictures:
            raise BatchError(f"No pictures in {source}.")


def shards(plan: Path) -> int:
    """Return how many shards a plan has."""
    return int(pq.read_metadata(plan).num_row_groups)


def read_shard(plan: Path, number: int) -> list[Item]:
    """Return a shard's pictures."""
    items: list[Item] = pq.ParquetFile(plan).read_row_group(number).to_pylist()
    return items


def _tables(folder: Path) -> list[Path]:
    """Find the Parquet files, but those of an earlier job, and what a name hides."""
    tables = sorted(folder.glob("**/*.parquet"))
    folders = {place for table in tables for place in table.parents if place.is_relative_to(folder)}
    jobs = {place for place in folders if (place / "_job.json").is_file()}
    return [
        table
        for table in tables
        if not table.name.startswith(("_", ".")) and jobs.isdisjoint(table.parents)
    ]


def _files(folder: Path, shard: int) -> Iterator[list[Item]]:
    items = [
        Item(file=path, row=None, reason=error.strerror if error else None)
        for path, error in sorted(find_pictures(folder), key=itemgetter(0))
    ]
    yield from (items[start : start + shard] for start in range(0, len(items), shard))


def _rows(source: Path, table: Path, shard: int, column: str) -> Iterator[list[Item]]:
    """Divide a table so that no shard needs two of its row groups."""
    name = os.fsencode(table.relative_to(source)) if table != source else b""
    columns = pq.read_schema(table).names
    if column not in columns:
        raise BatchError(f"{table} has no column {column}, but {', '.join(columns)}: see --column.")
    metadata, first = pq.read_metadata(table), 0
    for group in range(metadata.num_row_groups):
        last = first + metadata.row_group(group).num_rows
        for start in range(first, last, shard):
            rows = range(start, min(start + shard, last))
            yield [Item(file=name, row=row, reason=None) for row in rows]
        first = last
