"""Thousands of pictures through one artifact: resumable, on all cores."""

from emotion.batch.journal import BatchError, Journal, Outcome
from emotion.batch.run import answer, answer_all, read_picture
from emotion.batch.tables import (
    FORMATS,
    creating,
    errors_file,
    replacing,
    require,
    write_part,
    write_tables,
)
from emotion.batch.walk import SUFFIXES, find_pictures

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "BatchError",
    "Journal",
    "Outcome",
    "answer",
    "answer_all",
    "creating",
    "errors_file",
    "find_pictures",
    "read_picture",
    "replacing",
    "require",
    "write_part",
    "write_tables",
]
