"""A short round of what ``make fuzz`` does at length: the live service against its own OpenAPI."""

from benchmarks.contract import contract
from service.app import create_app
from service.settings import Settings
from tests.conftest import Server

OPERATIONS = create_app(Settings(preload="none")).openapi()["paths"]


def test_every_call_keeps_to_the_document(server: Server) -> None:
    report, said = contract(server, examples=3, seed=1)
    assert not report.failed, said
    assert report.operations == sum(len(methods) for methods in OPERATIONS.values())
    assert report.cases > 20 * report.operations
