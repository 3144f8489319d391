"""The fenced blocks of README.md and docs/*.md, and what runs each of their commands.

A block of shell may carry a word after ``sh`` that says why its commands are not run whole:
``train`` (hours; ``tests/test_training_docs.py`` and ``test_extend.py`` run them with little to
do), ``long`` (minutes), ``serve`` (never ends),
``docker`` (needs an engine: ``tests/test_docker.py`` has one and runs them),
``kubectl`` (of Debian's kubernetes-client), ``ray`` (``tests/cluster/test_commands.py`` runs them),
``store`` (needs a store elsewhere: ``tests/test_remote.py`` has one and runs them).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKERS = ("train", "long", "serve", "docker", "kubectl", "ray", "store")
_BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<note>[^\n]*))?\n(?P<text>.*?)^```", re.S | re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    language: str
    note: str  # what follows the language
    text: str


@dataclass(frozen=True)
class Command:
    """One line of shell."""

    page: Path
    marker: str  # of its block, or empty
    line: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.line}"


def blocks(language: str) -> list[Block]:
    return [
        Block(page, language, match["note"] or "", match["text"])
        for page in PAGES
        for match in _BLOCK.finditer(page.read_text())
        if match["language"] == language
    ]


def commands() -> list[Command]:
    """All commands of all pages; files of the repository that a page shows are not among them."""
    found = []
    for block in blocks("sh"):
        if block.note.startswith("file="):
            continue
        assert block.note in ("", *MARKERS), f"{block.page.name}: ```sh {block.note}"
        lines = block.text.replace("\\\n", " ").splitlines()
        stripped = [line.partition(" #")[0].strip() for line in lines]
        found += [Command(block.page, block.note, line) for line in stripped if line]
    return found
