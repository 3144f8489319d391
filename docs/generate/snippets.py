"""Files of the repository, shown on a page as they are."""

from collections.abc import Callable
from functools import partial

from benchmarks.server import ROOT

_LANGUAGES = {".sh": "sh", ".py": "python", ".mjs": "js"}
_FILES = (
    "examples/curl.sh",
    "examples/predict.py",
    "examples/many.py",
    "examples/predict.mjs",
    "examples/many.mjs",
)


def _show(name: str) -> str:
    path = ROOT / name
    return f"```{_LANGUAGES[path.suffix]} file={name}\n{path.read_text()}```"


BLOCKS: dict[str, Callable[[], str]] = {name: partial(_show, name) for name in _FILES}
