"""A small part of the shipped store, and stores to break; see also benchmarks/stores.py."""

import json
import shutil
from pathlib import Path

from emotion.classifier import CHECKOUT_STORE
from emotion.manifest import sealed
from emotion.store import ModelStore

SMALL = ("mobilenet/float32", "mobilenet/float16", "mobilenet/int8", "vgg16/int8")


def write_small_store(to: Path) -> Path:
    """Two models of the shipped store: copied, loaded and asked in a tenth of the time."""
    left_out = [r for r in ModelStore(CHECKOUT_STORE).records if r.name not in SMALL]
    files = {Path(record.file).name for record in left_out}
    shutil.copytree(CHECKOUT_STORE, to, ignore=lambda folder, names: files.intersection(names))
    manifest = json.loads((to / "manifest.json").read_text())
    kept = [a for a in manifest["artifacts"] if f"{a['model']}/{a['precision']}" in SMALL]
    edit_manifest(to, artifacts=kept)
    return to


def edit_manifest(root: Path, **changes: object) -> None:
    """As a publisher would have written it: with the SHA-256 of what it says now."""
    path = root / "manifest.json"
    path.write_bytes(sealed(json.loads(path.read_text()) | changes))
