"""The report's text, with its tables and figures in place."""

from collections.abc import Sequence

from emotion.records import ArtifactRecord
from training import tables
from training.measured import Measured

_HEAD = """# Results

Made by `python -m training report` from the raw predictions beside this file and the store's
manifest; `report.json` has the same numbers. Accuracy is over all images together, with the 95 %
Wilson interval, which takes images as independent (CK+ has three of each sequence). ECE is the
expected calibration error over 15 bins. "The study" is the publication this project started from;
its figures come from one random split over images.
"""
_HONEST = """Each is predicted once, by artifacts that saw no picture of its subject: not in
training, not in choosing the epoch, not in calibration. Recipes were compared on these folds, which
flatters the one that was kept a little.
"""
_LEAKS = """The artifacts saw other frames of the same sequences in training: the figures show what
the study's protocol rewards, not how well a new face is recognised.
"""
_TOGETHER = """The mean of their probabilities, image by image (one `/compare` returns them all).
"""
_INT8 = """## What int8 means here

The study writes int8 as x -> floor(128 * x / a), with a the largest magnitude of a tensor: one
scale per tensor, zero stays zero, values are cut off downwards. TensorFlow's converter does less
harm: q = round(x / s) + z. Weights have z = 0 and a scale of their own per output channel,
s = max|w| / 127, so a channel of small weights keeps its resolution. Activations have one scale
and one zero point per tensor, from the range that the calibration images produced, so a range
that is all positive (after ReLU) uses all 256 steps instead of half. Products are summed in int32,
where the biases live too, and rounding to the nearest halves the largest error of floor and
removes its bias.
"""


def report_markdown(
    measured: Sequence[Measured], records: Sequence[ArtifactRecord], pages: Sequence[str]
) -> str:
    """Lay out all scores; figures and ``pages`` are linked by the names that ``report`` gives."""
    parts = [_HEAD, *(_section(m, records) for m in measured)]
    if records:
        machines = sorted({r.latency.machine for r in records})
        parts += [
            "## Size and latency of the shipped artifacts\n",
            tables.size_table(records),
            f"The network alone, one image, one thread, on {'; '.join(machines)}.\n",
        ]
    if pages:
        links = ", ".join(f"[{page}]({page})" for page in pages)
        parts.append(f"## On pictures as a camera makes them\n\n{links}\n")
    return "\n".join([*parts, _INT8])


def _section(m: Measured, records: Sequence[ArtifactRecord]) -> str:
    name, first = m.protocol.name, m.scores[0].metrics
    parts = [
        f"## {m.protocol.title}\n",
        f"{first.images} images. {_LEAKS if m.protocol.leaks else _HONEST}",
        tables.accuracy_table(m.scores),
        "### Against float32\n",
        tables.quantization_table(m.scores),
        *_together(m),
        "### Recall per class\n",
        tables.recall_table(m.scores),
        f"![Confusion matrices](confusion_{name}.png)\n",
        f"![Reliability diagrams](reliability_{name}.png)\n",
    ]
    if shipped(m, records):
        parts.append(f"![Accuracy, latency and size](tradeoff_{name}.png)\n")
    parts.append("### Images that int8 and float32 name differently\n")
    if any(s.disagreements for s in m.scores if s.precision == "int8"):
        parts.append(tables.disagreement_table(m.scores))
    else:
        parts.append("None.\n")
    return "\n".join(parts)


def _together(m: Measured) -> list[str]:
    if not m.averaged:
        return []
    return ["### Backbones together\n", _TOGETHER, tables.averaged_table(m.averaged)]


def shipped(measured: Measured, records: Sequence[ArtifactRecord]) -> bool:
    """Whether the store ships any of the models that were scored."""
    return bool({r.model for r in records} & {s.model for s in measured.scores})
