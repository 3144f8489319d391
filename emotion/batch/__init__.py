"""Thousands of pictures through one artifact: resumable, on all cores."""

from emotion.batch.journal import BatchError, Journal
from emotion.batch.run import answer_all
from emotion.batch.tables import FORMATS, errors_file, require, write_tables
from emotion.batch.walk import SUFFIXES, find_pictures

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "BatchError",
    "Journal",
    "answer_all",
    "errors_file",
    "find_pictures",
    "require",
    "write_tables",
]
