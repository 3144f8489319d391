"""What HTTP takes at the least: FastAPI as its tutorial begins, which computes nothing.

It takes in a picture and answers half a kilobyte: no thread, no limits, no request id,
no log, no metrics.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI, Request
from pydantic import BaseModel

from benchmarks.server import ROOT, answers, ended, free_port


class Answer(BaseModel):
    """As large as the answer to one face."""

    emotion: str
    probabilities: dict[str, float]
    details: list[int]


app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Answer:
    """Answer the same to all."""
    await request.body()
    return Answer(emotion="happy", probabilities={"happy": 1.0}, details=list(range(100)))


@contextmanager
def floor() -> Iterator[str]:
    """Serve it on loopback with uvicorn, as the service is; its URL."""
    port = free_port()
    options = ("--port", str(port), "--log-level", "warning", "--no-access-log")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "benchmarks.floor:app", *options], cwd=ROOT, text=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        if not answers(f"{url}/openapi.json", process):
            raise RuntimeError("uvicorn did not start.")
        yield url
    finally:
        ended(process)
