"""The backbones: one declared entry each. A new one is a new entry, nothing else.

Keras's pre-trained weights expect their own normalisation (MobileNet -1..1; ResNet50 and
VGG16 BGR with ImageNet's mean subtracted). It is declared here, beside the weights it
belongs to, and becomes part of the graph, so that serving only ever sees uint8 pixels.

Nothing here imports Keras: the command line lists the backbones without waiting for it.
"""

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Backbone:
    """A convolutional base, the pixels it was pre-trained on, and the input it is used with.

    ``application`` names, as ``module:function``, what builds the base. It is called as those of
    ``keras.applications`` are: ``include_top=False``, ``weights`` (None or ``"imagenet"``),
    ``input_shape``, ``pooling="avg"`` and, where the base is trained, ``name``; it returns a
    keras.Model from normalised pixels [n, size, size, 3] to features [n, channels].
    """

    application: str
    scale: float  # normalised = pixel * scale + offset
    offset: float | Sequence[float]
    input_size: int

    def build(self, **options: Any) -> Any:
        """Build the base, a keras.Model."""
        function = cast(Callable[..., Any], pkgutil.resolve_name(self.application))
        return function(**options)


_SUBTRACTED_MEAN = tuple(-mean for mean in _IMAGENET_MEAN_BGR)

BACKBONES = {
    "mobilenet": Backbone("keras.applications:MobileNet", 1 / 127.5, -1.0, 96),
    "resnet50": Backbone("keras.applications:ResNet50", 1.0, _SUBTRACTED_MEAN, 96),
    "vgg16": Backbone("keras.applications:VGG16", 1.0, _SUBTRACTED_MEAN, 96),
}
