"""``emotion models``: what the store holds."""

import json

from rich.table import Table

from emotion.classifier import CHECKOUT_STORE
from emotion.cli import options as o
from emotion.cli.show import show, title
from emotion.labels import EMOTIONS
from emotion.preprocess import PIPELINE
from emotion.store import ModelStore


def models(store: o.Store = CHECKOUT_STORE, as_json: o.Json = False) -> None:
    """List the model store's artifacts."""
    records = ModelStore(store).records
    if as_json:
        artifacts = [{"version": r.version, "record": r.model_dump(mode="json")} for r in records]
        known = {"classes": EMOTIONS, "pipeline_fingerprint": PIPELINE.fingerprint}
        print(json.dumps(known | {"artifacts": artifacts}))
        return
    table = Table(title=title(str(store)))
    for heading in ("model", "precision", "version", "MB", "accuracy", "p50 ms"):
        table.add_column(heading, justify="left" if heading in ("model", "precision") else "right")
    for r in records:
        accuracy, p50 = f"{r.metrics.accuracy:.1%}", f"{r.latency.p50_ms:.2f}"
        table.add_row(r.model, r.precision, r.version, f"{r.bytes / 1e6:.2f}", accuracy, p50)
    show(table)
