"""The numbers of docs/study.md: from raw predictions, manifest and artifacts."""

from functools import cache

import numpy as np

from docs.generate.camera import robustness
from docs.generate.hard import never_right
from docs.generate.layer import Layer, first_convolution
from docs.generate.parts import parts
from emotion.classifier import CHECKOUT_STORE
from emotion.records import PRECISIONS, Precision
from emotion.store import REPORTS, ModelStore
from training import tables
from training.measured import Measured, measure
from training.predictions import read_predictions
from training.protocols import PROTOCOLS
from training.scores import ArtifactScores
from training.sizes import InputSizes
from training.study import STUDY_ACCURACY
from training.trials import Trial, read_trials

_FOLDER = CHECKOUT_STORE / REPORTS
_SHOWN_CHANNELS = 6
_DEAD = 1e-6  # of the largest magnitude
_TRIED: tuple[Precision, ...] = ("float32", "int8")  # precisions that a trial's row shows
_NOT_MEASURED = "Not measured in this checkout."
_INPUT_SIZES = "input_sizes_"  # how the names of those files begin


def the_study() -> str:
    """The study's own table."""
    head = ("backbone", "float32", "float16", "int8", "lost to int8, points")
    return tables.markdown_table(
        head,
        (
            (
                model,
                *(f"{100 * share:.1f} %" for share in shares.values()),
                f"{100 * (shares['int8'] - shares['float32']):+.1f}",
            )
            for model, shares in STUDY_ACCURACY.items()
        ),
    )


def ours() -> str:
    """Both protocols' tables; what is not measured yet is said."""
    written = []
    for protocol in PROTOCOLS.values():
        written.append(f"### {protocol.title}\n")
        scores = _scores(protocol.name)
        if scores:
            folds = f"{protocol.folds} folds" if protocol.folds > 1 else "one split"
            written.append(f"{scores[0].metrics.images} images, {folds}.\n")
            written += [tables.accuracy_table(scores), tables.quantization_table(scores)]
        missing = sorted(set(STUDY_ACCURACY) - {s.model for s in scores})
        if missing:
            written.append(f"Not measured in this checkout: {', '.join(missing)}.\n")
    return "\n".join(written)


def held_out() -> str:
    """The store's own artifacts beside the study's."""
    records = ModelStore(CHECKOUT_STORE).records
    first = records[0].metrics
    rows = (
        (
            record.model,
            record.precision,
            f"{STUDY_ACCURACY[record.model][record.precision]:.1%}",
            tables.with_interval(record.metrics),
            f"{record.metrics.macro_f1:.3f}",
            "{1:.1%} {0}".format(*min(record.metrics.recall.items(), key=lambda item: item[1])),
            f"{record.metrics.calibration_error:.1%}",
        )
        for record in records
        if record.model in STUDY_ACCURACY
    )
    head = ("model", "precision", "the study", "accuracy (95 % interval)", "macro F1")
    table = tables.markdown_table((*head, "worst class recall", "ECE"), rows)
    return f"{first.images} images: {first.protocol}.\n\n{table}"


def figures() -> str:
    """Every figure of the report; those of input sizes stand beside their tables."""
    return "\n\n".join(
        f"![{path.stem.replace('_', ', ')}](../model_store/{REPORTS}/{path.name})"
        for path in sorted(_FOLDER.glob("*.png"))
        if not path.name.startswith(_INPUT_SIZES)
    )


def sizes() -> str:
    """Size and latency of what is shipped."""
    records = ModelStore(CHECKOUT_STORE).records
    machine = records[0].latency.machine
    return f"{tables.size_table(records)}\nThe network alone, one image, one thread, on {machine}."


def contents() -> str:
    """What the bytes of each artifact are, where its float32 ships too."""
    store = ModelStore(CHECKOUT_STORE)
    whole = {r.model: r.bytes for r in store.records if r.precision == "float32"}
    rows = []
    for record in store.records:
        if record.model not in whole:
            continue
        found = parts(store, record)
        each = (found.weights, found.scales, found.biases, found.graph)
        rows.append(
            (
                record.model,
                record.precision,
                *(f"{size / 1e6:.2f} MB" for size in each),
                f"{found.weights / whole[record.model]:.3f}",
                f"{record.bytes / whole[record.model]:.3f}",
            )
        )
    head = ("model", "precision", "weights", "scales", "int32 biases", "graph")
    return tables.markdown_table((*head, "weights, of float32", "all, of float32"), rows)


def per_class() -> str:
    """Which classes quantization costs."""
    return tables.recall_table(_scores("subject10"))


def layer() -> str:
    """A layer's channels, and both formulas' errors on it."""
    layer = _layer()
    size = np.abs(layer.weights).reshape(len(layer.weights), -1).max(axis=1)
    alive = np.argsort(size)[np.sort(size) > _DEAD * size.max()]
    order = alive[np.linspace(0, len(alive) - 1, _SHOWN_CHANNELS).astype(int)]
    rows = [_channel(layer, int(channel)) for channel in order]
    head = ("channel", "largest magnitude", "its scale", "a weight", "int8", "means", "the study")
    smallest, largest = size[alive[0]], size[alive[-1]]
    errors = tables.markdown_table(
        ("over all weights of the layer", "the converter", "the study's formula"),
        _errors(layer),
    )
    entering, leaving = layer.input, layer.output
    return f"""
`{layer.name}`, the first convolution of {_model()}: {layer.weights.size} weights in
{len(layer.weights)} output channels, batch normalisation folded in. {len(size) - len(alive)}
channels are as good as zero; the largest magnitudes of the others lie between {smallest:.4f} and
{largest:.2f}, a factor of {largest / smallest:.0f}. Some of them, smallest first, each
with its weight of median size:

{tables.markdown_table((*head, "means"), rows)}
{errors}
Activations enter with scale {entering[0]:.6f} and zero point {entering[1]}, so the integers -128 to
127 stand for {_span(entering)}, and leave (after ReLU6) with scale {leaving[0]:.6f} and zero point
{leaving[1]}, for {_span(leaving)}: all 256 steps are spent on values that occur.
With the study's formula, symmetric about zero, half of them would stand for negative values, of
which ReLU6 leaves none."""


def tried() -> str:
    """Each trial, beside what the merged ten folds have on the same images."""
    head = ("tried", "backbone", "folds", "images", "float32", "int8", "reported, float32")
    return tables.markdown_table(head, map(_trial_row, read_trials(_FOLDER)))


def input_sizes() -> str:
    """What is kept of each backbone over the size of its input."""
    written = []
    for path in sorted(_FOLDER.glob(f"{_INPUT_SIZES}*.json")):
        found = InputSizes.model_validate_json(path.read_bytes())
        head = ("input", "images", *(f"{p}, accuracy and ms" for p in PRECISIONS))
        rows = (
            (
                f"{s.size}x{s.size}",
                str(s.images),
                *(f"{s.accuracy[p]:.1%}, {s.p50_ms[p]:.2f}" for p in PRECISIONS),
            )
            for s in found.sizes
        )
        written.append(
            f"{found.model}, folds {', '.join(map(str, found.folds))}; medians on {found.machine}, "
            f"{found.date}.\n\n{tables.markdown_table(head, rows)}\n"
            f"![Accuracy against latency](../model_store/{REPORTS}/{path.stem}.png)"
        )
    return "\n\n".join(written) or _NOT_MEASURED


def together() -> str:
    """What backbones reach whose answers are averaged."""
    found = _measured("subject10")
    return tables.averaged_table(found.averaged) if found and found.averaged else _NOT_MEASURED


BLOCKS = {
    "the study": the_study,
    "held out": held_out,
    "ours": ours,
    "figures": figures,
    "sizes": sizes,
    "contents": contents,
    "per class": per_class,
    "robustness": robustness,
    "together": together,
    "never right": never_right,
    "tried": tried,
    "input sizes": input_sizes,
    "layer": layer,
}


def _scores(protocol: str) -> list[ArtifactScores]:
    found = _measured(protocol)
    return found.scores if found else []


@cache
def _measured(protocol: str) -> Measured | None:
    found = PROTOCOLS[protocol]
    path = _FOLDER / found.file
    return measure(path, found) if path.is_file() else None


def _trial_row(trial: Trial) -> tuple[str, ...]:
    shares = (f"{trial.accuracy(p):.1%}" if trial.has(p) else "-" for p in _TRIED)
    protocol = PROTOCOLS[trial.protocol]
    merged = [
        row.predicted == row.label
        for row in read_predictions(_FOLDER / protocol.file)
        if (row.model, row.precision) == (trial.model, "float32") and row.fold in trial.folds
    ]
    folds = ", ".join(map(str, trial.folds))
    if len(trial.folds) == protocol.folds:
        folds = "the random split" if protocol.leaks else "all"
    against = f"{np.mean(merged):.1%}" if merged else "not measured"
    return (trial.title, trial.model, folds, str(trial.images), *shares, against)


def _model() -> str:
    return ModelStore(CHECKOUT_STORE).records[0].model


@cache
def _layer() -> Layer:
    return first_convolution(ModelStore(CHECKOUT_STORE), _model())


def _channel(layer: Layer, channel: int) -> tuple[str, ...]:
    weights = layer.weights[channel].ravel()
    place = int(np.argsort(np.abs(weights))[len(weights) // 2])
    values = (
        layer.quantized[channel].ravel()[place],
        layer.restored[channel].ravel()[place],
        layer.study_quantized[channel].ravel()[place],
        layer.study_restored[channel].ravel()[place],
    )
    return (
        str(channel),
        f"{np.abs(weights).max():.5f}",
        f"{layer.scales[channel]:.7f}",
        f"{weights[place]:+.5f}",
        f"{values[0]:.0f}",
        f"{values[1]:+.5f}",
        f"{values[2]:.0f}",
        f"{values[3]:+.5f}",
    )


def _errors(layer: Layer) -> list[tuple[str, ...]]:
    errors = [layer.restored - layer.weights, layer.study_restored - layer.weights]
    integers = [layer.quantized, layer.study_quantized]
    return [
        ("mean error (bias)", *(f"{e.mean():+.6f}" for e in errors)),
        ("mean magnitude of the error", *(f"{np.abs(e).mean():.6f}" for e in errors)),
        ("largest error", *(f"{np.abs(e).max():.6f}" for e in errors)),
        ("weights that become 0", *(f"{(q == 0).mean():.1%}" for q in integers)),
        ("weights that do not fit into int8", *(str(int((q > 127).sum())) for q in integers)),
    ]


def _span(quantization: tuple[float, int]) -> str:
    scale, zero = quantization
    return f"{(-128 - zero) * scale:.3f} to {(127 - zero) * scale:.3f}"
