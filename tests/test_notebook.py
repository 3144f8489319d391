"""The notebook runs from its first cell to its last, and is committed without outputs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples" / "compare.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list[nbformat.NotebookNode]:
    """The code cells after a run in a kernel of its own, as a user's."""
    copy = tmp_path_factory.mktemp("notebook") / "compare.ipynb"
    code = f"""
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read({str(NOTEBOOK)!r}, 4)
where = {{"metadata": {{"path": {str(NOTEBOOK.parent)!r}}}}}
NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
nbformat.write(notebook, {str(copy)!r})
"""
    program = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        env={"PATH": f"{program}:/usr/bin:/bin", "HOME": str(copy.parent)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [cell for cell in nbformat.read(copy, 4).cells if cell.cell_type == "code"]


def printed(cells: list[nbformat.NotebookNode]) -> str:
    return "".join(o.text for cell in cells for o in cell.outputs if o.get("name") == "stdout")


def test_three_precisions_agree_on_the_example(executed: list[nbformat.NotebookNode]) -> None:
    (line,) = re.findall(r"^astronaut .*$", printed(executed), re.MULTILINE)
    assert re.search(r"float32 happy \d+%, float16 happy \d+%, int8 happy \d+%", line)
    assert re.search(r"^int8 +\d+\.\d+ MB", printed(executed), re.MULTILINE)


def test_figures_are_drawn(executed: list[nbformat.NotebookNode]) -> None:
    kinds = [kind for cell in executed for o in cell.outputs for kind in o.get("data", {})]
    assert kinds.count("image/png") == 4


def test_the_kernel_it_asks_for_can_be_installed(tmp_path: Path) -> None:
    told = "".join(nbformat.read(NOTEBOOK, 4).cells[0].source)
    (command,) = re.findall(r"^ +\.venv/bin/python (-m ipykernel install .*)$", told, re.MULTILINE)
    name = command.split()[-1]
    assert f"the kernel *{name}*" in told
    words = command.replace("--user", f"--prefix {tmp_path}").split()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=60)
    spec = json.loads((tmp_path / f"share/jupyter/kernels/{name}/kernel.json").read_text())
    assert Path(spec["argv"][0]) == Path(sys.executable)


def test_it_is_committed_without_outputs() -> None:
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
