"""The Caffe detector to three LiteRT artifacts.

float32   the graph as it is.
float16   weights stored as float16, computed in float32 where the CPU has no float16.
int8      int8 weights per channel and int8 activations, ranges from calibration pictures, the
          heads' channels in ranges of their own. What follows the heads' convolutions, and the
          length by which the first map is divided, stay float.

All three take uint8 pixels [1, 300, 300, 3], BGR, and return float32 [1, 8892, 5].
"""

from typing import Any

import numpy as np

from emotion.arrays import Pixels
from emotion.assets import DetectorFiles
from emotion.records import Precision
from training.apart import apart
from training.tflite import convert_float, int8_converter


def convert(files: DetectorFiles, calibration: Pixels) -> dict[Precision, bytes]:
    """Return the artifacts' contents.

    Runs in a child process: the converter keeps memory it never gives back.

    Args:
        files: the Caffe network.
        calibration: uint8 [n, 300, 300, 3], BGR.
    """
    return apart(_convert_all, files, calibration)


def _convert_all(files: DetectorFiles, calibration: Pixels) -> dict[Precision, bytes]:
    from training.detector.graph import build_detector
    from training.detector.heads import head_ranges

    model = build_detector(files)
    answers = np.concatenate([model(picture[np.newaxis]).numpy() for picture in calibration])
    int8 = build_detector(files, head_ranges(answers))
    return {
        "float32": convert_float(model, "float32"),
        "float16": convert_float(model, "float16"),
        "int8": _quantize(int8, calibration),
    }


def _quantize(model: Any, calibration: Pixels) -> bytes:
    import tensorflow as tf
    from tensorflow.lite.python.util import modify_model_io_type

    converter = int8_converter(model, calibration)
    # TensorFlow's public way to leave single operators in float is its quantization debugger.
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset
    )
    debugger._debug_options.denylisted_nodes = _heads(debugger.calibrated_model)
    content = debugger.get_nondebug_quantized_model()
    return bytes(modify_model_io_type(content, tf.uint8, tf.float32))


def _heads(calibrated: bytes) -> list[str]:
    """Name the operators that stay float: those named HEAD, convolutions apart."""
    import tensorflow as tf

    from training.detector.graph import HEAD
    from training.operators import operators_of

    interpreter = tf.lite.Interpreter(model_content=calibrated)
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    (output,) = interpreter.get_output_details()
    operators = [
        (operator["op_name"], names[operator["outputs"][0]])
        for operator in operators_of(interpreter)
    ]
    return [
        name
        for kind, name in operators
        if (HEAD in name and kind != "CONV_2D") or name == output["name"]
    ]
