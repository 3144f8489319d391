"""Measured detectors to the model store, past a gate."""

import hashlib

from pydantic import BaseModel, ConfigDict

from emotion.errors import EmotionError
from emotion.interpreter import Interpreter
from emotion.records import Agreement, DetectorRecord, Latency, Precision, file_name

MAX_LOST = 0.005
MIN_IOU = 0.95
MIN_SAME_EMOTION = 0.99
MIN_IMAGES = 1000


class DetectorGateError(EmotionError):
    """A compiled detector is not close enough to the original to be published."""


class DetectorEvaluation(BaseModel):
    """What the conversion measured; the evidence behind the card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_sha256: str
    git_commit: str
    agreement: dict[Precision, dict[str, Agreement]]  # over ``all`` and per kind of picture
    latency: dict[Precision, Latency]
    caffe_latency: Latency

    def speedup(self, precision: Precision) -> float:
        """How many times faster than Caffe, by the medians."""
        return self.caffe_latency.p50_ms / self.latency[precision].p50_ms


def check_gate(precision: Precision, agreement: Agreement) -> None:
    """Raise DetectorGateError, naming every reason, unless the detector may be published."""
    reasons = []
    if agreement.images < MIN_IMAGES:
        reasons.append(f"only {agreement.images} pictures were compared, {MIN_IMAGES} are needed")
    if agreement.lost_share > MAX_LOST:
        reasons.append(
            f"it loses {agreement.lost_share:.2%} of Caffe's faces (most {MAX_LOST:.1%})"
        )
    if agreement.mean_iou < MIN_IOU:
        reasons.append(f"its boxes' mean IoU is {agreement.mean_iou:.3f} (least {MIN_IOU})")
    if agreement.false_boxes > agreement.caffe_false_boxes:
        reasons.append(
            f"it draws {agreement.false_boxes} false boxes, Caffe {agreement.caffe_false_boxes}"
        )
    if agreement.same_emotion is not None and agreement.same_emotion < MIN_SAME_EMOTION:
        reasons.append(
            f"{agreement.same_emotion:.2%} of the faces keep their emotion "
            f"(least {MIN_SAME_EMOTION:.0%})"
        )
    if reasons:
        raise DetectorGateError(f"detector/{precision} is not published: {'; '.join(reasons)}.")


def detector_record(
    precision: Precision, content: bytes, evaluation: DetectorEvaluation
) -> DetectorRecord:
    """Describe an artifact for the manifest."""
    interpreter = Interpreter(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return DetectorRecord(
        precision=precision,
        file=file_name("detector", precision, sha256),
        sha256=sha256,
        bytes=len(content),
        input=interpreter.input,
        output=interpreter.output,
        source_sha256=evaluation.source_sha256,
        git_commit=evaluation.git_commit,
        agreement=evaluation.agreement[precision]["all"],
        latency=evaluation.latency[precision],
        caffe_p50_ms=evaluation.caffe_latency.p50_ms,
    )


def detector_card(records: list[DetectorRecord], evaluation: DetectorEvaluation) -> str:
    """Write the detectors' card in Markdown."""
    first = records[0]
    rows = "\n".join(
        f"| {r.precision} | {r.bytes / 1e6:.2f} MB | {r.agreement.lost} of {r.agreement.faces} "
        f"({r.agreement.lost_share:.2%}) | {r.agreement.added} | {r.agreement.mean_iou:.4f} | "
        f"{r.agreement.false_boxes} ({r.agreement.caffe_false_boxes}) | "
        f"{_share(r.agreement.same_emotion)} | {r.latency.p50_ms:.2f} ms | "
        f"{evaluation.speedup(r.precision):.1f} | `{r.version}` |"
        for r in records
    )
    kinds = "\n".join(
        f"| {kind} | {a.images} | {a.faces} | {a.lost} | {a.added} | {a.mean_iou:.4f} | "
        f"{a.false_boxes} ({a.caffe_false_boxes}) |"
        for kind, a in evaluation.agreement["int8"].items()
        if kind != "all"
    )
    return f"""# detector

The res10 face detector (SSD, Liu et al. 2016, on a ResNet-10; OpenCV's
`res10_300x300_ssd_iter_140000.caffemodel`, sha256 `{first.source_sha256[:12]}`), converted from
Caffe: the same weights with the batch norms folded, the picture squeezed to 300x300 BGR exactly as
OpenCV does.

| precision | size | lost faces | added | IoU | false boxes | same emotion | p50 | ratio | version |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

Against OpenCV's Caffe network on {first.agreement.images} pictures, faces of a score of at least
0.5: lost are Caffe's faces without a box of an IoU of 0.5 or more, added the boxes that Caffe does
not have, IoU the mean over the found ones, false boxes those on no true face (Caffe's in
parentheses), same emotion the found faces that {first.agreement.classifier or "(no classifier)"}
sees alike in both boxes. A box that one side scores 0.5 or more and the other not less than 0.49 is
not added, and where it is false it counts for both. p50 is the median of a whole detection in a
512x512 photo, ratio Caffe's ({evaluation.caffe_latency.p50_ms:.2f} ms) divided by it, alternating
in one run, one thread of {first.latency.machine}, {first.latency.date}.
Commit `{first.git_commit}`.

int8 by kind of picture:

| pictures | number | Caffe's faces | lost | added | IoU | false boxes |
| --- | --- | --- | --- | --- | --- | --- |
{kinds}

In int8 the weights have a step for each channel. Ranges come from CK+ subjects that judge nothing,
on other cuts of the same scikit-image photos that are the backgrounds here. Each channel of a head
has a range of its own, found where faces are, so that no step is spent on values of the background.
The length that the first head's features are divided by stays float (LiteRT's own has 8 bits, too
few for 128 channels).

## Limits

Those of the original: upright faces of at least about 1/10 of the picture's height. A face whose
score lies within a few hundredths of 0.5 may fall on the other side in int8.
"""


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2%}"
