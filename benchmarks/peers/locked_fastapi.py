"""A plain FastAPI app with a global lock, run by uvicorn: what one writes first."""

import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI, File

from benchmarks.peers.pipeline import answer, load

app = FastAPI()
classifier = load()
lock = threading.Lock()


@app.get("/health")
def health() -> dict[str, str]:
    """Answer once the model is there."""
    return {"status": "ok"}


@app.post("/predict")
def predict(image: bytes = File()) -> dict[str, Any]:
    """Classify one image, while every other request waits."""
    with lock:
        return answer(classifier, image)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
