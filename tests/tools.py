"""Programs of the system that some tests need."""

import os
import shutil

import pytest


def tool(name: str, package: str) -> str:
    """Its path; without it the test is skipped, or fails with e.g. HAPROXY=required."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed: apt-get install {package}"
        if os.environ.get(name.upper()) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
