"""What a replica makes of its settings, and of what looks like one; no cluster is needed."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from cluster.serve import Emotion, Options, build
from service.settings import UnknownSettingError
from tests.conftest import ROOT

KEY = "alice:" + "0" * 64
FOLLOW = """
import asyncio, json, sys
from cluster.serve import Emotion

async def run():
    for config in json.loads(sys.argv[1]):
        await Emotion(1).reconfigure({"preload": "none"} | config)

asyncio.run(run())
"""


def test_a_misspelt_setting_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_API_KEY", KEY)
    with pytest.raises(UnknownSettingError, match=r"Did you mean EMOTION_.*KEY"):
        build(Options())
    with pytest.raises(UnknownSettingError, match="EMOTION_API_KEY is no setting"):
        asyncio.run(Emotion(1).reconfigure({"preload": "none"}))
    monkeypatch.delenv("EMOTION_API_KEY")
    with pytest.raises(ValueError, match="api_key\n"):  # nor may user_config have one
        asyncio.run(Emotion(1).reconfigure({"preload": "none", "api_key": KEY}))


@pytest.mark.parametrize(("config", "warnings"), [({}, 1), ({"api_keys": [KEY]}, 0)])
def test_a_replica_without_keys_says_so(config: dict[str, object], warnings: int) -> None:
    """In a process of its own, whose signals and log the app may take."""
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW, json.dumps([config])],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("EMOTION_")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    said = [line["event"] for line in lines if line["level"] == "warning"]
    assert len([event for event in said if "everybody" in event]) == warnings, done.stdout
