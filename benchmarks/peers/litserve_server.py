"""LitServe, as its documentation has it: a LitAPI, one worker process per core."""

import os
import sys
from typing import Any

import litserve
from fastapi import Request

from benchmarks.peers.pipeline import answer, load


class Emotion(litserve.LitAPI):
    """Decodes, detects and classifies in ``predict``, which the workers run."""

    def setup(self, device: str) -> None:
        """Load once per worker."""
        self.classifier = load()

    def decode_request(self, request: Request) -> bytes:
        """Take the file of the form."""
        return request["image"].file.read()  # LitServe has parsed the form

    def predict(self, image: bytes) -> dict[str, Any]:
        """Classify one image."""
        return answer(self.classifier, image)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Answer as it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        Emotion(), accelerator="cpu", workers_per_device=os.cpu_count() or 1
    )
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
