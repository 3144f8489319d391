"""Ask the service about one picture: `python examples/predict.py photo.jpg`."""

import os
import sys
from pathlib import Path

import httpx

URL = os.environ.get("EMOTION_URL", "http://127.0.0.1:8000")
photo = Path(sys.argv[1] if len(sys.argv) > 1 else "examples/astronaut.jpg")

try:
    response = httpx.post(
        f"{URL}/predict",
        params={"model": "mobilenet", "precision": "int8"},
        files={"image": photo.read_bytes()},
        timeout=30,
    )
except (OSError, httpx.TransportError) as error:
    sys.exit(f"{photo}, {URL}: {error}")
if response.headers["content-type"] == "application/problem+json":  # RFC 9457: what to do about it
    sys.exit(response.json()["detail"])
response.raise_for_status()  # where a proxy has answered in the service's place
for face in response.json()["faces"]:
    print(f"{face['emotion']} {face['confidence']:.0%}")
