"""One image, one artifact, one answer: however many ask, and whoever computes it."""

import asyncio

import httpx

from emotion import Classifier
from emotion.classifier import CHECKOUT_STORE
from tests.conftest import StartServer

CLIENTS = 64


def test_64_clients_get_the_sequential_answers_and_the_librarys(
    start_server: StartServer, classifier: Classifier, collage: bytes
) -> None:
    jobs = [
        (collage, {"model": r.model, "precision": r.precision, "faces": "all"})
        for r in classifier.store.records
    ]

    def probabilities(response: httpx.Response) -> list[list[float]]:
        assert response.status_code == 200, response.text
        return [list(face["probabilities"].values()) for face in response.json()["faces"]]

    async def client(url: str, number: int) -> list[list[list[float]]]:
        """Ask for everything, in an order of one's own."""
        first = number % len(jobs)
        turned = jobs[first:] + jobs[:first]
        async with httpx.AsyncClient(base_url=url, timeout=120) as http:
            found = [
                probabilities(await http.post("/predict", params=p, content=image))
                for image, p in turned
            ]
        return found[len(jobs) - first :] + found[: len(jobs) - first]

    async def ask(url: str) -> list[list[list[list[float]]]]:
        return await asyncio.gather(*(client(url, number) for number in range(CLIENTS)))

    with start_server(store=CHECKOUT_STORE, deadline_seconds=100) as server:
        sequential = [
            probabilities(httpx.post(f"{server.url}/predict", params=p, content=image, timeout=60))
            for image, p in jobs
        ]
        together = asyncio.run(ask(server.url))
    library = [
        [face.probabilities.tolist() for face in classifier.predict(image, **p).faces]
        for image, p in jobs
    ]
    assert sequential == library
    for found in together:
        assert found == library
