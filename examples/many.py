"""Ask about many pictures at once: `python examples/many.py *.jpg`.

At most IN_FLIGHT requests are under way. A service that is at its limit answers 503, and one that
you ask too much 429; both say when to come back. A broken connection is tried again after a pause
that grows.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

import httpx

URL = os.environ.get("EMOTION_URL", "http://127.0.0.1:8000")
IN_FLIGHT = 8
TRIES = 10
LATER = (
    httpx.codes.TOO_MANY_REQUESTS,
    httpx.codes.BAD_GATEWAY,  # a proxy's, while what is behind it restarts
    httpx.codes.SERVICE_UNAVAILABLE,
)


async def predict(http: httpx.AsyncClient, photo: bytes) -> httpx.Response:
    """Send one picture, again where the service asks for it."""
    for attempt in range(1, TRIES):
        try:
            response = await http.post("/predict", params={"faces": "all"}, content=photo)
        except httpx.TransportError:
            pause = min(0.1 * 2**attempt, 5)
        else:
            if response.status_code not in LATER:
                return response
            pause = float(response.headers.get("retry-after", "1"))
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # so that not all come back at once
    return await http.post("/predict", params={"faces": "all"}, content=photo)


def reason(response: httpx.Response) -> str:
    """Say what was wrong: in the service's words, unless a proxy before it has answered."""
    if response.headers.get("content-type") == "application/problem+json":
        return str(response.json()["detail"])
    return f"{response.status_code} {response.reason_phrase}"


async def main(paths: list[Path]) -> int:
    """Print a line a picture; the status is the number of those that failed."""
    turns = asyncio.Semaphore(IN_FLIGHT)
    failed = 0
    limits = httpx.Limits(max_connections=IN_FLIGHT)
    async with httpx.AsyncClient(base_url=URL, timeout=30, limits=limits) as http:

        async def one(path: Path) -> None:
            nonlocal failed
            try:
                async with turns:  # read only now: a thousand pictures do not fit into memory
                    response = await predict(http, path.read_bytes())
            except (OSError, httpx.TransportError) as error:
                failed += 1
                print(path, error, file=sys.stderr)
                return
            if response.is_success:
                print(path, ", ".join(face["emotion"] for face in response.json()["faces"]))
            else:
                failed += 1
                print(path, reason(response), file=sys.stderr)

        await asyncio.gather(*map(one, paths))
    return min(failed, 125)


if __name__ == "__main__":
    sys.exit(asyncio.run(main([Path(name) for name in sys.argv[1:]])))
