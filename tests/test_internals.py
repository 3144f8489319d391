"""What the service uses of uvicorn and Starlette beyond their documented interfaces is still there.

Where one of these fails after an upgrade: read what became of it in the new version, adapt
service/protocol.py or service/upload.py, and see tests/test_connections.py and
tests/test_security.py pass. Until then, hold the old version with an upper bound in pyproject.toml.
"""

import inspect

import pytest
from starlette.formparsers import MultiPartParser
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.protocol import BoundedProtocol
from service.upload import _Parser

OVERRIDDEN = (
    "connection_made",
    "connection_lost",
    "data_received",
    "on_message_begin",
    "on_headers_complete",
    "on_body",
    "send_400_response",
    "pause_writing",
    "resume_writing",
    "_should_upgrade",
    "_start_asgi_task",
)
READ = (
    "self.connections",
    "self.transport",
    "self.loop",
    "self.cycle",
    "self.app_state",
    "self.parser",
    "self.flow",
    "self.pipeline",
    "self.headers",
    "self.url",
)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_is_overridden_is_called_as_before(name: str) -> None:
    ours, theirs = (
        list(inspect.signature(getattr(cls, name)).parameters)
        for cls in (BoundedProtocol, HttpToolsProtocol)
    )
    assert ours == theirs, __doc__


@pytest.mark.parametrize("name", READ)
def test_what_is_read_is_set(name: str) -> None:
    assert f"{name} = " in inspect.getsource(HttpToolsProtocol).replace(": ", " = "), __doc__


def test_what_is_called_is_there() -> None:
    assert callable(HttpToolsProtocol.send_400_response), __doc__
    for name in ("response_complete", "disconnected", "message_event"):
        assert f"self.{name} = " in inspect.getsource(RequestResponseCycle), __doc__
    assert callable(FlowControl.resume_reading), __doc__
    # a body that nobody read is taken in and dropped once its request is answered
    assert "response_complete" in inspect.getsource(HttpToolsProtocol.on_body), __doc__
    assert "resume_reading" in inspect.getsource(HttpToolsProtocol), __doc__


def test_uploads_are_parsed_in_memory_with_a_charset_of_ours() -> None:
    source = inspect.getsource(MultiPartParser)
    assert "spool_max_size" in vars(MultiPartParser), __doc__
    assert "max_size=self.spool_max_size" in source, __doc__
    assert "self._charset" in source, __doc__
    assert _Parser.spool_max_size > 2**40
