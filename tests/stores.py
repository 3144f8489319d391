"""Stores to break: see also benchmarks/stores.py, whose names are here too."""

import json
from pathlib import Path

from benchmarks.stores import MODEL, copy_store, newer, publish_retrained, retrained

__all__ = ["MODEL", "copy_store", "edit_manifest", "newer", "publish_retrained", "retrained"]


def edit_manifest(root: Path, **changes: object) -> None:
    path = root / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
