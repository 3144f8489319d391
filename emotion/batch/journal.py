"""What a batch has to do and what it has done, in one SQLite file beside the output.

SQLite's transactions make a run that is killed at any moment leave a sound journal, its primary
key keeps any file from counting twice, and nothing has to fit into memory.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion.errors import EmotionError

_COMMIT_SECONDS = 0.25  # at most so much work is done again after a kill
_PAGE = 512
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS options (json TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS files "
    "(path BLOB PRIMARY KEY, faces TEXT, error TEXT, reason TEXT) WITHOUT ROWID",
)
_FORGET = ("DELETE FROM options", "DELETE FROM files")
_PENDING = "faces IS NULL AND error IS NULL"
_FOLDER = "unreadable-folder"


class BatchError(EmotionError):
    """A batch cannot begin or go on."""


@dataclass(frozen=True)
class Outcome:
    """One file's answers as in HTTP, or the name of the error and its reason."""

    path: bytes
    faces: list[dict[str, Any]] | None
    error: str | None = None
    reason: str | None = None


class Journal:
    """One process at a time has a journal open."""

    def __init__(self, path: Path, options: dict[str, Any], *, anew: bool = False) -> None:
        """Open a journal or begin one.

        Args:
            path: the SQLite file.
            options: what decides the answers; must be those the journal was begun with.
            anew: forget what an existing journal holds, unless it was begun anew itself, with
                these options: then it goes on.

        Raises:
            BatchError: it cannot be written, is in use, is no journal, or had other options.
        """
        self.path = path
        self.resumed = False
        self._committed = time.monotonic()
        with self._explained():
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with self._explained():
                self._open(options, anew)
        except BaseException:
            self._db.close()
            raise

    def _open(self, options: dict[str, Any], anew: bool) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")
        for statement in _SCHEMA:
            self._db.execute(statement)
        begun = self._db.execute("SELECT json FROM options").fetchone()
        before = json.loads(begun[0]) if begun else None
        noted = options | {"anew": anew}
        if before is None or (anew and before != noted):
            for statement in _FORGET:
                self._db.execute(statement)
            self._db.execute("INSERT INTO options VALUES (?)", (json.dumps(noted),))
            return
        self.resumed = True
        changed = [name for name in options if before.get(name) != options[name]]
        if changed:
            had = ", ".join(f"{name}={before.get(name)}" for name in changed)
            has = ", ".join(f"{name}={options[name]}" for name in changed)
            raise BatchError(
                f"The unfinished run of {self.path} had {had}; this one has {has}. Go on with the "
                "same options, choose another --out, or start anew with --overwrite."
            )

    def plan(self, found: Iterable[tuple[bytes, OSError | None]]) -> None:
        """Note all files to be done; those done before stay done, new ones are added."""
        with self._explained():
            self._db.execute(f"DELETE FROM files WHERE {_PENDING} OR error = ?", (_FOLDER,))  # noqa: S608
            self._db.executemany(
                "INSERT OR IGNORE INTO files VALUES (?, NULL, ?, ?)",
                ((path, _FOLDER if e else None, e.strerror if e else None) for path, e in found),
            )
            self._commit()

    def pending(self) -> Iterator[bytes]:
        """Yield the files not done, in order; outcomes may be recorded meanwhile."""
        query = f"SELECT path FROM files WHERE path > ? AND {_PENDING} ORDER BY path LIMIT {_PAGE}"  # noqa: S608
        last = b""
        while True:
            with self._explained():
                page = [path for (path,) in self._db.execute(query, (last,))]
            if not page:
                return
            yield from page
            last = page[-1]

    def record(self, outcome: Outcome) -> None:
        """Note what became of a file; on disk within a moment, if more are recorded."""
        faces = None if outcome.faces is None else json.dumps(outcome.faces)
        with self._explained():
            self._db.execute(
                "UPDATE files SET faces = ?, error = ?, reason = ? WHERE path = ?",
                (faces, outcome.error, outcome.reason, outcome.path),
            )
            if time.monotonic() - self._committed > _COMMIT_SECONDS:
                self._commit()

    def counts(self) -> tuple[int, int, int]:
        """Count all files, those done (failed ones included), and those failed."""
        row = self._db.execute(
            f"SELECT count(*), count(*) - count(*) FILTER (WHERE {_PENDING}), count(error) FROM files"  # noqa: S608, E501
        ).fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def failures(self) -> dict[str, int]:
        """Count the failed files by error."""
        query = (
            "SELECT error, count(*) FROM files WHERE error IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
        )
        return dict(self._db.execute(query).fetchall())

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what became of each file, in the order of their paths."""
        with self._explained():
            for path, faces, error, reason in self._db.execute(
                "SELECT path, faces, error, reason FROM files ORDER BY path"
            ):
                yield Outcome(path, None if faces is None else json.loads(faces), error, reason)

    def close(self) -> None:
        """Put everything on disk and let go."""
        with self._explained():
            try:
                if self._db.in_transaction:
                    self._db.execute("COMMIT")
            finally:
                self._db.close()

    def delete(self) -> None:
        """Close and remove the file."""
        self.close()
        self.path.unlink()

    def _commit(self) -> None:
        if self._db.in_transaction:  # not where an interrupt came between these two
            self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")
        self._committed = time.monotonic()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise BatchError(f"Another run is at work on {self.path}: wait for it.") from error
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise BatchError(
                    f"The disk of {self.path.parent.absolute()} is full: free some space and run "
                    "the same command to go on."
                ) from error
            raise BatchError(
                f"{self.path}: {error}. Mend that and run the same command, or change --out."
            ) from error
