"""Convert, compare, time and publish: what ``python -m training detector`` does."""

from functools import partial
from pathlib import Path

import numpy as np

from emotion.assets import CAFFEMODEL_SHA256, find_detector_files
from emotion.compiled import CompiledDetector, squeezed
from emotion.errors import StoreError, UnknownArtifactError
from emotion.faces import CaffeDetector, Detector
from emotion.interpreter import Interpreter
from emotion.records import PRECISIONS, Precision
from emotion.registry import LoadedArtifact, Registry
from emotion.store import ModelStore, publish
from training.detector.agreement import NEARLY, compare
from training.detector.convert import convert
from training.detector.publish import (
    DetectorEvaluation,
    DetectorGateError,
    check_gate,
    detector_card,
    detector_record,
)
from training.detector.scenes import Scenes, photo
from training.detector.timing import latencies
from training.provenance import git_commit


def make_detectors(
    ckplus: Path, data_dir: Path | None, folder: Path, store: Path
) -> DetectorEvaluation:
    """Make the three detectors and publish those that pass the gate.

    Args:
        ckplus: the dataset as zip or folder; its faces calibrate int8 and judge all three.
        data_dir: may hold the Caffe network, see ``emotion.assets``.
        folder: receives the artifacts, those that are refused too.
        store: the model store; its MobileNet, if any, tells whether emotions stay the same. What
            was measured goes into its reports with what is published.

    Returns:
        What was measured.

    Raises:
        DetectorGateError: precisions missed the targets; the others are published all the same.
        DetectorMissingError, DatasetError, StoreError: see where they are raised.
    """
    files = find_detector_files(data_dir=data_dir)
    pictures = [squeezed(image) for image in Scenes(ckplus, calibration=True).calibrate()]
    contents = convert(files, np.stack(pictures))
    folder.mkdir(parents=True, exist_ok=True)
    for precision, content in contents.items():
        (folder / f"{precision}.tflite").write_bytes(content)
    evaluation = _evaluate(contents, CaffeDetector(files, NEARLY), ckplus, store)
    _publish(contents, evaluation, store)
    return evaluation


def _evaluate(
    contents: dict[Precision, bytes], caffe: Detector, ckplus: Path, store: Path
) -> DetectorEvaluation:
    detectors = {p: _compiled(p, content) for p, content in contents.items()}
    timed: dict[str, Detector] = {caffe.name: caffe, **{d.name: d for d in detectors.values()}}
    times = latencies(timed, photo("astronaut"))
    scenes = list(Scenes(ckplus, calibration=False).judge())
    classifier = _classifier(store)
    return DetectorEvaluation(
        source_sha256=CAFFEMODEL_SHA256,
        git_commit=git_commit(),
        agreement=compare(detectors, caffe, scenes, classifier),
        latency={p: times[p] for p in detectors},
        caffe_latency=times[caffe.name],
    )


def _publish(contents: dict[Precision, bytes], evaluation: DetectorEvaluation, store: Path) -> None:
    items, refusals = [], []
    for precision in PRECISIONS:
        try:
            check_gate(precision, evaluation.agreement[precision]["all"])
        except DetectorGateError as error:
            refusals.append(str(error))
        else:
            content = contents[precision]
            items.append((detector_record(precision, content, evaluation), content))
    if items:
        card = detector_card([record for record, _ in items], evaluation)
        evidence = {"detector.json": f"{evaluation.model_dump_json(indent=1)}\n".encode()}
        publish(store, [], {"detector": card}, items, evidence)
    if refusals:
        raise DetectorGateError(" ".join(refusals))


def _compiled(precision: Precision, content: bytes) -> CompiledDetector:
    return CompiledDetector(precision, partial(Interpreter, content), NEARLY)


def _classifier(store: Path) -> LoadedArtifact | None:
    """Take the store's float32 MobileNet, where there is one."""
    try:
        return Registry(ModelStore(store)).get("mobilenet", "float32")
    except (StoreError, UnknownArtifactError):
        return None
