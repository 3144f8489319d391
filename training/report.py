"""Committed raw numbers to tables and figures; nothing is trained and nothing is measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotion.records import ArtifactRecord, Precision
from emotion.store import MANIFEST, REPORTS, ModelStore
from training import plots
from training.card import renew_cards
from training.markdown import report_markdown, shipped
from training.measured import Averaged, Measured, measure
from training.predictions import PredictionsError
from training.protocols import PROTOCOLS
from training.robustness_page import write_page
from training.scores import ArtifactScores
from training.study import STUDY_ACCURACY

REPORT = "report.md"
NUMBERS = "report.json"


def report(store: Path) -> Path:
    """Write ``report.md``, ``report.json`` and the figures into the store's reports folder.

    From the merged raw predictions there, the manifest, and the counts of ``robustness``, whose
    pages it makes again, as it does the models' cards; a model without rows is absent.
    Running it again changes nothing.

    Raises:
        PredictionsError: there are no raw predictions, or they are damaged or incomplete.
        StoreError: the manifest cannot be read.
    """
    folder = store / REPORTS
    measured = [
        measure(folder / protocol.file, protocol)
        for protocol in PROTOCOLS.values()
        if (folder / protocol.file).is_file()
    ]
    if not measured:
        names = ", ".join(protocol.file for protocol in PROTOCOLS.values())
        raise PredictionsError(f"{folder} has none of {names}: run `python -m training merge`.")
    records = ModelStore(store).records if (store / MANIFEST).is_file() else ()
    for m in measured:
        name = m.protocol.name
        plots.plot_confusion(m.scores, m.protocol.title, folder / f"confusion_{name}.png")
        plots.plot_reliability(m.scores, m.protocol.title, folder / f"reliability_{name}.png")
        if shipped(m, records):
            title = f"Accuracy ({m.protocol.title}), latency and size"
            plots.plot_tradeoff(m.scores, records, title, folder / f"tradeoff_{name}.png")
    (folder / NUMBERS).write_text(json.dumps(_numbers(measured, records), indent=1) + "\n")
    pages = [write_page(numbers).name for numbers in sorted(folder.glob("robustness_*.csv"))]
    (folder / REPORT).write_text(report_markdown(measured, records, pages))
    if records:
        renew_cards(store)
    return folder / REPORT


def _numbers(measured: list[Measured], records: Sequence[ArtifactRecord]) -> dict[str, Any]:
    by_name = {(r.model, r.precision): r for r in records}
    artifacts = {m.protocol.name: [_numbers_of(s, by_name) for s in m.scores] for m in measured}
    averaged = {m.protocol.name: [_averaged_numbers(a) for a in m.averaged] for m in measured}
    return artifacts | {"averaged": averaged}


def _averaged_numbers(a: Averaged) -> dict[str, Any]:
    metrics = _rounded(a.metrics.model_dump(exclude={"protocol"}))
    return {"models": a.models, "precision": a.precision, **metrics}


def _numbers_of(
    s: ArtifactScores, records: dict[tuple[str, Precision], ArtifactRecord]
) -> dict[str, Any]:
    record = records.get((s.model, s.precision))
    return {
        "model": s.model,
        "precision": s.precision,
        "study_accuracy": STUDY_ACCURACY.get(s.model, {}).get(s.precision),
        **_rounded(s.metrics.model_dump(exclude={"protocol"})),
        "difference_to_float32": round(s.difference, 6),
        "agreement_with_float32": round(s.agreement, 6),
        "largest_probability_change": round(s.largest_change, 6),
        "confusion": s.confusion.tolist(),
        "reliability": [_rounded(vars(b)) for b in s.bins],
        "disagreements": [_rounded(vars(d)) for d in s.disagreements],
        "bytes": record.bytes if record else None,
        "latency": record.latency.model_dump() if record else None,
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _rounded(value)
        if isinstance(value, dict)
        else round(value, 6)
        if isinstance(value, float)
        else value
        for name, value in values.items()
    }
