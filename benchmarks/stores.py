"""Copies of the shipped store, and newer artifacts to publish into them."""

import hashlib
import shutil
from pathlib import Path

import numpy as np

from emotion.classifier import CHECKOUT_STORE
from emotion.records import ArtifactRecord, file_name
from emotion.store import ModelStore, publish

MODEL = "mobilenet"


def copy_store(to: Path) -> Path:
    """Copy the whole store."""
    return Path(shutil.copytree(CHECKOUT_STORE, to))


def retrained(content: bytes, seed: int) -> bytes:
    """The same graph with some weights changed: it runs, and answers differently."""
    changed = np.frombuffer(content, np.uint8).copy()
    inside = len(changed) * 6 // 10 // 4 * 4  # of a layer's weights, in every precision
    words = np.random.default_rng(seed).choice(10_000, 5_000, replace=False)
    changed[inside + 4 * words + 2] ^= 0x20
    return changed.tobytes()


def newer(record: ArtifactRecord, content: bytes) -> tuple[ArtifactRecord, bytes]:
    """The same artifact with another content, to publish."""
    sha256 = hashlib.sha256(content).hexdigest()
    changes = {"sha256": sha256, "file": file_name(record.model, record.precision, sha256)}
    return record.model_copy(update=changes), content


def publish_retrained(root: Path, seed: int) -> ModelStore:
    """Publish a newer version of every artifact of a model that is in every store."""
    shipped = ModelStore(CHECKOUT_STORE)
    records = [r for r in shipped.records if r.model == MODEL]
    publish(root, [newer(r, retrained(shipped.read(r), seed)) for r in records], {})
    return ModelStore(root)
