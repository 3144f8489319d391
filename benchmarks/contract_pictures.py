"""What schemathesis sends where the OpenAPI document says image: sound ones, and mutants."""

import numpy as np
import schemathesis
from hypothesis import strategies as st

from benchmarks.mutants import mutant, seeds
from benchmarks.server import ROOT

_SEEDS = seeds((ROOT / "examples" / "astronaut.jpg").read_bytes())


def _mutated(seed: bytes, number: int) -> bytes:
    return mutant(seed, np.random.default_rng(number))


sound = st.sampled_from(_SEEDS)
pictures = sound | st.builds(_mutated, sound, st.integers(0, 2**32 - 1))
schemathesis.openapi.media_type("image/jpeg", pictures, aliases=["image/png", "image/webp"])
schemathesis.openapi.media_type("image/bmp", pictures, aliases=["application/octet-stream"])
