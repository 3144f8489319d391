"""Which page takes its generated parts from where."""

from pathlib import Path

from benchmarks.server import ROOT
from docs.generate import (
    capacity,
    choices,
    deploy,
    measured,
    pipeline,
    readme,
    scale,
    snippets,
    study,
)
from docs.generate.blocks import Block, fill

_DOCS = ROOT / "docs"
PAGES: dict[Path, dict[str, Block]] = {
    ROOT / "README.md": readme.BLOCKS,
    _DOCS / "study.md": study.BLOCKS,
    _DOCS / "pipeline.md": pipeline.BLOCKS,
    _DOCS / "deploy.md": deploy.BLOCKS,
    _DOCS / "capacity.md": capacity.BLOCKS,
    _DOCS / "measured.md": measured.BLOCKS | choices.BLOCKS,
    _DOCS / "scale.md": scale.BLOCKS,
    _DOCS / "clients.md": snippets.BLOCKS,
}


def generated(path: Path) -> str:
    """Return the page as it should be."""
    return fill(path.read_text(), PAGES[path])
