"""MLServer, as its documentation has it: a custom runtime behind the Open Inference Protocol."""

import json

import mlserver
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.pipeline import answer, load


class Emotion(mlserver.MLModel):
    """Takes an image as one BYTES element, base64 in JSON as the protocol has it."""

    async def load(self) -> bool:
        """Load once per worker process."""
        self.classifier = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Classify one image."""
        (image,) = mlserver.codecs.Base64Codec.decode_input(payload.inputs[0])
        text = json.dumps(answer(self.classifier, image))
        return InferenceResponse(
            model_name=self.name, outputs=[StringCodec.encode_output("answer", [text])]
        )
