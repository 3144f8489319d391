"""BentoML, as its documentation has it: a service class, one worker process per core."""

from pathlib import Path
from typing import Any

import bentoml

from benchmarks.peers.pipeline import answer, load


@bentoml.service(workers="cpu_count", traffic={"timeout": 60})
class Emotion:
    """Classifies images that come as files of a form."""

    def __init__(self) -> None:
        self.classifier = load()

    @bentoml.api
    def predict(self, image: Path) -> dict[str, Any]:
        """Classify one image."""
        return answer(self.classifier, image.read_bytes())
