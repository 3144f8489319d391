"""``emotion predict``: one picture, one artifact."""

import json
import time

from rich.table import Table

from emotion.answers import predict_answer
from emotion.cli import options as o
from emotion.cli.show import show, title
from emotion.labels import EMOTIONS


def predict(
    image: o.Image,
    model: o.Model = "mobilenet",
    precision: o.Precision = "int8",
    faces: o.FacesOption = "largest",
    no_face: o.NoFaceOption = "error",
    detector: o.Detector = None,
    store: o.Store = o.STORE,
    detector_dir: o.DetectorDir = None,
    data_dir: o.DataDir = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    as_json: o.Json = False,
) -> None:
    """Tell which emotions the faces of a picture show."""
    classifier = o.open_classifier(store, detector, detector_dir, data_dir, max_pixels)
    classifier.registry.get(model, precision)  # loaded before the clock starts
    start = time.perf_counter()
    prediction = classifier.predict(image, model, precision, faces=faces, no_face=no_face)
    total = 1000 * (time.perf_counter() - start)
    if as_json:
        print(json.dumps(predict_answer(prediction, {"total": total})))
        return
    table = Table(title=title(f"{image.name}: {model} {precision}"))
    table.add_column("emotion")
    for number, _ in enumerate(prediction.faces, start=1):
        table.add_column(f"face {number}", justify="right")
    for index, emotion in enumerate(EMOTIONS):
        table.add_row(emotion, *(f"{f.probabilities[index]:.1%}" for f in prediction.faces))
    show(table)
