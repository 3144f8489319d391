"""The OpenAPI document: valid, with an example for every call and error, and each example true."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from docs.generate import answers
from docs.generate.requests import PICTURE, TENSOR, infer_requests, shortened
from service.app import create_app
from service.oip.errors import BadInferenceError
from service.openapi_examples import FILE, Examples, recorded
from service.problems import KINDS
from service.settings import Settings
from tests.conftest import Server

DOCUMENT = create_app(Settings(preload="none")).openapi()
METHODS = ("get", "post", "put", "delete")


def responses() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every response that has a body, under the operation and its status."""
    for path, operations in DOCUMENT["paths"].items():
        for method in METHODS:
            for status, response in operations.get(method, {}).get("responses", {}).items():
                yield f"{method.upper()} {path} {status}", response


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, response in responses():
        if name.endswith(" default"):
            continue  # any other error of the Open Inference Protocol looks like the listed ones
        for kind, content in response.get("content", {}).items():
            yield f"{name} {kind}", content


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


@pytest.mark.parametrize(("name", "content"), list(contents()))
def test_every_answer_has_examples_of_its_schema(name: str, content: dict[str, Any]) -> None:
    assert content.get("examples"), f"{name}: add a request to docs/generate/answers.py, make docs"
    schema = {"components": DOCUMENT["components"], **content["schema"]}
    for example in content["examples"].values():
        Draft202012Validator(schema).validate(example["value"])


def json_requests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in DOCUMENT["paths"].items():
        body = operations.get("post", {}).get("requestBody", {})
        if content := body.get("content", {}).get("application/json"):
            yield path, content


@pytest.mark.parametrize(("path", "content"), list(json_requests()))
def test_every_json_request_has_examples_of_its_schema(path: str, content: dict[str, Any]) -> None:
    schema = {"components": DOCUMENT["components"], **content["schema"]}
    examples = [example["value"] for example in content["examples"].values()]
    assert {example["inputs"][0]["name"] for example in examples} == {"image", "pixels"}, path
    for example in examples:
        Draft202012Validator(schema).validate(example)


def test_a_live_service_answers_the_example_requests(small_server: Server) -> None:
    """As they were sent; what is shown of them differs only where it says that it is cut."""
    committed = recorded().requests[f"POST {answers.MODEL}/infer"]
    infer = f"{small_server.url}/v2/models/mobilenet/infer"
    for shows, request in infer_requests().items():
        assert httpx.post(infer, json=request).raise_for_status().json()["outputs"]
        assert committed[shows].keys() == request.keys()
    shown = httpx.post(infer, json=committed[PICTURE]).raise_for_status().json()["outputs"]
    assert {output["name"]: output["data"] for output in shown}["emotion"] == ["happy"]
    assert committed[TENSOR] == shortened(infer_requests()[TENSOR])


def test_every_problem_has_an_example() -> None:
    problems: dict[str, Any] = recorded().problems
    # Errors under /v2 have a form of their own, and one kind happens only there.
    kinds = [kind for error, kind in KINDS.items() if error is not BadInferenceError]
    assert {kind.name for kind in kinds} <= set(problems)
    for kind in kinds:
        problem = problems[kind.name]
        assert (problem["status"], problem["title"]) == (kind.status, kind.title)
        assert len(problem["detail"]) > 20


def test_a_live_service_answers_like_the_examples() -> None:
    committed = Examples.model_validate_json(FILE.read_bytes())
    found = answers.record()
    for ours, theirs in (
        (committed.answers, found.answers),
        (committed.problems, found.problems),
    ):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert answers.same(ours[name], theirs[name]), f"{name}: run `make docs`"


def test_an_example_that_is_not_true_is_noticed() -> None:
    true = recorded().model_dump()["answers"]["POST /predict"][200]["the largest face"]
    assert answers.same(true, true | {"request_id": "other", "latency_ms": {}})
    assert not answers.same(true, true | {"detector": "another"})
    face = true["faces"][0]
    assert not answers.same(true, true | {"faces": [face | {"confidence": 0.5}]})
    assert not answers.same(true, true | {"faces": [face, face]})
