"""Programs of the system that some tests need."""

import os
import shutil

import pytest


def tool(name: str, package: str) -> str:
    """Its path; without it the test is skipped, or fails with REQUIRE_TOOLS=1."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed: apt-get install {package}"
        if os.environ.get("REQUIRE_TOOLS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
