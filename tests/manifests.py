"""Kubernetes manifests, and the published schemas that they are held against."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from ruamel.yaml import YAML

from service.engine import at_once
from service.settings import Settings
from tests.conftest import ROOT

VERSIONS = list(dict.fromkeys(all_versions()))[-3:]  # of Kubernetes: those that are maintained
_FOLDERS = ("kubernetes/base", "kubernetes/production", "kserve")
_SCHEMAS = ROOT / "tests" / "schemas"
# keys that their author chooses
_FREE = {"annotations", "labels", "limits", "matchLabels", "requests"}

Document = dict[str, Any]


def read(path: Path) -> Document:
    return YAML(typ="safe").load(path)


def leaves_places(settings: Settings) -> bool:
    """Whether no client alone can take all places to upload, or all to compute and wait."""
    most = min(settings.max_uploads, at_once(settings.threads) + settings.max_waiting)
    return 0 < settings.client_requests < most


MANIFESTS = {
    path.relative_to(ROOT / "deploy").as_posix(): read(path)
    for folder in _FOLDERS
    for path in sorted((ROOT / "deploy" / folder).glob("*.yaml"))
    if path.name != "kustomization.yaml"
}


def longest_end(settings: Settings) -> float:
    """Seconds from SIGTERM to the end: drained, arrived, computed, and uvicorn's own 5."""
    return settings.drain_seconds + settings.upload_seconds + settings.deadline_seconds + 5


def faults(document: Document, version: str = VERSIONS[-1]) -> list[str]:
    """What the API server of this version would say about it."""
    if missing := {"kind", "apiVersion", "metadata"} - set(document):
        return [f"{missing} is missing"]
    kind, api = document["kind"], document["apiVersion"]
    own = _SCHEMAS / f"{kind}.json"
    if not own.is_file():
        return _errors(_kubernetes(kind, api, version), document)
    metadata = _kubernetes("ObjectMeta", "meta/v1", version)
    return _errors(_published(own), document) + _errors(metadata, document["metadata"])


def _errors(schema: Draft202012Validator, instance: Any) -> list[str]:
    return [error.message for error in schema.iter_errors(instance)]


@cache
def _published(file: Path) -> Draft202012Validator:
    return Draft202012Validator(_strict(json.loads(file.read_text())))


def _strict(schema: Any) -> Any:
    """Strict field validation: where fields are declared, there are no others."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        metadata = not schema["properties"]
        open_ = metadata or schema.get("x-kubernetes-preserve-unknown-fields", False)
        strict.setdefault("additionalProperties", open_)
    return strict


@cache
def _definitions(version: str) -> Registry[Any]:
    text = (_core(version) / "_definitions.json").read_text()
    contents = Resource(contents=json.loads(text), specification=DRAFT202012)
    return Registry().with_resource("_definitions.json", contents)


@cache
def _kubernetes(kind: str, api: str, version: str) -> Draft202012Validator:
    group, _, last = api.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], last)))
    schema = json.loads((_core(version) / f"{name}.json").read_text())
    return Draft202012Validator(schema, registry=_definitions(version))


def _core(version: str) -> Any:
    schemas = files("kubernetes_validate") / "kubernetes-json-schema"
    return schemas / f"v{version}-local-strict"


def misspelt(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The same document again and again, each time with another field name misspelt."""
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{place}/{key}"
            if "/" in key:  # a label, which its author chooses too
                continue
            yield here, {(k + "x" if k == key else k): v for k, v in node.items()}
            if key not in _FREE:
                yield from ((at, node | {key: wrong}) for at, wrong in misspelt(value, here))
    elif isinstance(node, list):
        for n, item in enumerate(node):
            for at, wrong in misspelt(item, f"{place}/{n}"):
                yield at, [*node[:n], wrong, *node[n + 1 :]]
