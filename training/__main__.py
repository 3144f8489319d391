"""``python -m training``."""

import os
import sys

# oneDNN's convolutions, which TensorFlow leaves off on a CPU without AVX-512: on AVX2 a step of
# ResNet50 takes 1.1 s with them and 2.4 without (32 faces of 64x64, AMD EPYC, 2026-11-27).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from training.cli import main

sys.exit(main())
