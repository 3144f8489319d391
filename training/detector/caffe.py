"""The Caffe detector's weights, as OpenCV loads them, batch norms folded."""

from dataclasses import dataclass

import cv2
import numpy as np

from emotion.arrays import Floats
from emotion.assets import DetectorFiles

_EPSILON = 1e-5  # Caffe's default for BatchNorm


@dataclass(frozen=True)
class Affine:
    """What a BatchNorm and its Scale do to each channel: ``x * scale + offset``."""

    scale: Floats  # [channels]
    offset: Floats  # [channels]


@dataclass(frozen=True)
class Convolution:
    """Weights as TensorFlow lays them out."""

    kernel: Floats  # [height, width, in, out]
    bias: Floats  # [out]

    def then(self, affine: Affine) -> "Convolution":
        """Fold what follows the convolution into it."""
        return Convolution(self.kernel * affine.scale, self.bias * affine.scale + affine.offset)

    def after(self, affine: Affine) -> "Convolution":
        """Fold what precedes the convolution into it; padding must be what it maps to zero."""
        moved = np.einsum("hwio,i->o", self.kernel, affine.offset)
        return Convolution(self.kernel * affine.scale[:, np.newaxis], self.bias + moved)

    def on_blocks(self) -> "Convolution":
        """Return what a stride of 1 does on blocks of 2x2 pixels (space to depth) like one of 2."""
        kernel = np.pad(
            self.kernel, [(0, side % 2) for side in self.kernel.shape[:2]] + [(0, 0)] * 2
        )
        height, width, depth, filters = kernel.shape
        pairs = kernel.reshape(height // 2, 2, width // 2, 2, depth, filters)
        blocks = pairs.transpose(0, 2, 1, 3, 4, 5)
        return Convolution(blocks.reshape(height // 2, width // 2, 4 * depth, filters), self.bias)


class CaffeWeights:
    """The blobs of the network that OpenCV parsed, by layer name."""

    def __init__(self, files: DetectorFiles) -> None:
        """Parse the network; nothing is computed, so OpenCV has not fused anything yet."""
        self._network = cv2.dnn.readNetFromCaffe(
            np.frombuffer(files.prototxt, np.uint8), np.frombuffer(files.caffemodel, np.uint8)
        )
        self._names = set(self._network.getLayerNames())

    def convolution(self, name: str) -> Convolution:
        """Return a Convolution layer's weights; its bias is zero where the layer has none."""
        kernel, *bias = self._blobs(name)
        outputs = kernel.shape[0]
        flat = bias[0].ravel() if bias else np.zeros(outputs, np.float32)
        return Convolution(kernel.transpose(2, 3, 1, 0), flat)

    def affine(self, batch_norm: str, scale: str) -> Affine:
        """Merge a BatchNorm layer (running sums and their weight) with its Scale layer."""
        mean, variance, weight = (blob.ravel() for blob in self._blobs(batch_norm))
        gamma, beta = (blob.ravel() for blob in self._blobs(scale))
        factor = gamma / np.sqrt(variance / weight + _EPSILON)
        return Affine(factor, beta - mean / weight * factor)

    def vector(self, name: str) -> Floats:
        """Return a layer's only blob, flat."""
        (blob,) = self._blobs(name)
        return blob.ravel()

    def _blobs(self, name: str) -> list[Floats]:
        known = name if name in self._names else f"{name}_h"  # its author marked half widths so
        return [np.asarray(blob, np.float32) for blob in self._network.getLayer(known).blobs]
