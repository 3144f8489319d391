"""Examples in the OpenAPI document: requests, and answers that a real service gave.

`make docs` asks one and writes ``openapi_examples.json``; a test asks again and compares.
"""

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, JsonValue

FILE = Path(__file__).with_suffix(".json")


class Examples(BaseModel):
    """Requests in JSON by operation (``POST /predict``) and what they show.

    Answers by operation, status and what they show; problems by name.
    """

    requests: dict[str, dict[str, JsonValue]]
    answers: dict[str, dict[int, dict[str, JsonValue]]]
    problems: dict[str, JsonValue]


@cache
def recorded() -> Examples:
    """Read the recorded answers."""
    return Examples.model_validate_json(FILE.read_bytes())


def problem_examples(problems: dict[str, str]) -> dict[str, Any]:
    """OpenAPI's ``examples`` for problems, given as name and title; none for one never recorded."""
    known = recorded().problems
    return {
        name: {"summary": title, "value": known[name]}
        for name, title in problems.items()
        if name in known
    }


def add_examples(document: dict[str, Any]) -> None:
    """Put the recorded requests and answers beside the schemas of an OpenAPI document."""
    for operation, requests in recorded().requests.items():
        method, path = operation.split()
        body = document["paths"][path][method.lower()]["requestBody"]
        body["content"]["application/json"]["examples"] = _named(requests)
    for operation, by_status in recorded().answers.items():
        method, path = operation.split()
        responses = document["paths"].get(path, {}).get(method.lower(), {}).get("responses", {})
        for status, examples in by_status.items():
            response = responses.get(str(status))
            if response is None:
                continue
            text = all(isinstance(value, str) for value in examples.values())
            kind = "text/plain" if text else "application/json"
            plain: dict[str, Any] = {"schema": {"type": "string"}} if text else {}
            content = response.setdefault("content", {}).setdefault(kind, plain)
            content["examples"] = _named(examples)


def _named(examples: dict[str, JsonValue]) -> dict[str, Any]:
    return {
        name.replace(" ", "-"): {"summary": name, "value": value}
        for name, value in examples.items()
    }
