"""Names for the arrays that travel between the stages."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""uint8 pixels 0..255; each function's docstring gives shape and colour order."""

Probabilities: TypeAlias = npt.NDArray[np.float32]
"""float32 [..., 7], each row summing to 1, in the order of ``emotion.labels.EMOTIONS``."""

Floats: TypeAlias = npt.NDArray[np.float32]
"""float32; each function's docstring gives shape and meaning."""
