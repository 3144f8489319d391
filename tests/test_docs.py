"""README.md and docs/: every command runs, every generated part is current, every link leads on."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import benchmarks.bench
import benchmarks.curves
import benchmarks.load
import benchmarks.predict
from benchmarks.curves_plot import plot
from benchmarks.server import free_port, serving
from docs.generate import deploy, pipeline
from docs.generate.blocks import fill, names
from docs.generate.pages import PAGES as GENERATED
from docs.generate.pages import generated
from service.settings import Settings
from tests import test_docker
from tests.clients import eventually, is_ready
from tests.conftest import ROOT, Server
from tests.pages import PAGES, Command, blocks, commands
from tests.tools import tool
from training.cli import main as training

COMMANDS = commands()
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)


def those(start: str, *markers: str) -> list[Command]:
    return [c for c in COMMANDS if c.line.startswith(start) and c.marker in markers]


def covered() -> list[Command]:
    """Every command that a test below runs or parses."""
    return [
        *those("curl ", ""),
        *those(".venv/bin/emotion", "", "serve", "long", "store"),
        *those(".venv/bin/python -m training", "", "train", "long"),
        *those(".venv/bin/python -m cluster", ""),
        *those(".venv/bin/pip ", "long"),
        *those("RAY_", "ray"),
        *those(".venv/bin/ray ", "ray"),
        *those("make ", "", "train", "long"),
        *those("EMOTION_", "serve"),
        *those("docker ", "docker"),
        *those("EMOTION_", "docker"),
        *those("kubectl ", "kubectl"),
        *those(".venv/bin/python -m benchmarks.capacity", ""),
        *those("export ", "", "train", "long", "store", "docker"),
    ]


def test_no_command_is_left_out() -> None:
    assert len(COMMANDS) > 20
    assert [str(c) for c in COMMANDS if c not in covered()] == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", those("curl ", ""), ids=str)
def test_curl(command: Command, server: Server) -> None:
    if "tiny" in command.line:
        pytest.skip("tests/test_extend.py runs it against a store that has this backbone")
    words = shlex.split(command.line.replace("localhost:8000", server.url))
    done = subprocess.run([*words, "--fail-with-body"], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", those(".venv/bin/emotion", ""), ids=str)
def test_the_command_line(command: Command, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("emotion")
    words = shlex.split(command.line)
    (tmp_path / "examples").symlink_to(ROOT / "examples")  # what a command writes goes here
    subprocess.run([program, *words[1:]], cwd=tmp_path, check=True, capture_output=True, timeout=60)


def test_commands_that_do_not_end_are_spelled_right() -> None:
    program = Path(sys.executable).with_name("emotion")
    for command in those(".venv/bin/emotion", "serve", "long"):
        words = shlex.split(command.line)
        help_of = [program, words[1], "--help"]
        done = subprocess.run(help_of, capture_output=True, text=True, check=True, timeout=60)
        assert all(word in done.stdout for word in words if word.startswith("--")), command


@pytest.mark.parametrize(
    "command", those(".venv/bin/python -m training", "", "train", "long"), ids=str
)
def test_training_commands_are_spelled_right(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command.line)[3:]
    with pytest.raises(SystemExit) as done:
        training([*words[:1], "--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in words if word.startswith("--"))


@pytest.mark.parametrize("command", those(".venv/bin/python -m cluster", ""), ids=str)
def test_cluster_commands_are_spelled_right(command: Command) -> None:
    """They run in tests/cluster/."""
    _, *words = shlex.split(command.line)
    help_of = [sys.executable, *words[:2], "--help"]
    done = subprocess.run(help_of, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert all(word in done.stdout for word in words if word.startswith("--")), command


def test_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {extra for page in PAGES for extra in re.findall(r"'\.\[(\w+)\]'", page.read_text())}
    assert {"batch", "plot", "s3", "otel"} <= named <= set(project["optional-dependencies"])


@pytest.mark.parametrize("command", those("RAY_", "ray") + those(".venv/bin/ray ", "ray"), ids=str)
def test_ray_commands_are_spelled_right(command: Command) -> None:
    if " start " in command.line or "serve deploy" in command.line:
        assert "RAY_AUTH_MODE=token" in command.line  # else Ray lets everybody in
    words = [word for word in shlex.split(command.line) if not word.startswith("RAY_")]
    program = Path(sys.executable).with_name(Path(words[0]).name)
    help_of = [program, words[1], "--help"]
    done = subprocess.run(help_of, capture_output=True, text=True, check=True, timeout=60)
    assert all(word in done.stdout for word in words if word.startswith("--")), command
    assert all((ROOT / word).is_file() for word in words if word.endswith(".yaml")), command


def test_ray_starts_nothing_without_its_token(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("ray")
    environment = os.environ | {"HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}

    def ray(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words], env=environment, capture_output=True, text=True, timeout=60
        )

    made = ray("get-auth-token", "--generate")
    kept = tmp_path / ".ray" / "auth_token"
    assert made.stdout == kept.read_text() != ""
    kept.unlink()
    environment["RAY_AUTH_MODE"] = "token"
    refused = ray("start", "--head")
    assert refused.returncode != 0
    assert "no authentication token was found" in refused.stderr


@pytest.mark.parametrize("command", those("make ", "", "train", "long"), ids=str)
def test_make_knows_its_targets(command: Command) -> None:
    words = shlex.split(command.line)
    assert words[1] in TARGETS
    dry = subprocess.run(
        ["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ".venv/bin" in dry.stdout


@pytest.mark.parametrize("command", those("EMOTION_", "serve"), ids=str)
def test_settings_that_a_page_sets_are_taken(command: Command, tmp_path: Path) -> None:
    words = shlex.split(command.line)
    settings = dict(word.split("=", 1) for word in words if word.startswith("EMOTION_"))
    assert words[len(settings) :] == [".venv/bin/python", "-m", "service"]
    named = {name.removeprefix("EMOTION_").lower(): value for name, value in settings.items()}
    assert set(named) <= set(Settings.model_fields)
    free = {name: free_port() for name in named if name.endswith("port")}
    with serving(tmp_path / "log.jsonl", **(named | free)):
        pass


@pytest.mark.skipif(not (ROOT / ".venv" / "serving").exists(), reason="it would install")
def test_make_serve_serves() -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    with subprocess.Popen(
        ["make", "serve", f"PORT={port}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            eventually(lambda: is_ready(url), seconds=60)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


def test_what_needs_more_than_this_machine_is_run_where_that_is() -> None:
    """Each Docker command by one test of test_docker.py, Ray's by one of tests/cluster."""
    docker = those("docker ", "docker") + those("EMOTION_", "docker")
    assert sorted(c.line for c in docker) == sorted(map(test_docker.line_with, test_docker.PARTS))
    assert len([c for c in COMMANDS if c.marker == "ray"]) == 4


@pytest.mark.parametrize(
    "command", those("docker ", "docker") + those("EMOTION_", "docker"), ids=str
)
def test_docker_commands_are_spelled_right(command: Command) -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    for part in command.line.split("&&"):
        words = shlex.split(part)
        while "=" in words[0]:
            name = words.pop(0).partition("=")[0]
            assert f"${{{name}:-" in compose or f" {name}:" in compose, name
        assert words[1] in ("build", "run", "compose")
        if shutil.which("docker") is None:
            pytest.skip("docker is not installed")
        verb = words[1:3] if words[1] == "compose" else words[1:2]
        done = subprocess.run(["docker", *verb, "--help"], capture_output=True, text=True)
        if f"docker {' '.join(verb)}" not in done.stdout:
            pytest.skip("this docker has no compose plugin")
        own = words[2 : words.index("training") if "training" in words else None]
        options = {word.partition("=")[0] for word in own if word.startswith("-")}
        assert all(re.search(rf"(^|\s){option}\b", done.stdout) for option in options)
    assert (ROOT / "Dockerfile").is_file()
    assert (ROOT / "docker-compose.yml").is_file()


@pytest.mark.parametrize("command", those("kubectl ", "kubectl"), ids=str)
def test_kubectl_prints_a_deployment(command: Command) -> None:
    words = [tool("kubectl", "kubernetes-client"), *shlex.split(command.line)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kinds = re.findall(r"^kind: (\w+)$", done.stdout, re.MULTILINE)
    assert {"Deployment", "InferenceService"} & set(kinds)


@pytest.mark.parametrize("command", those(".venv/bin/python -m benchmarks.capacity", ""), ids=str)
def test_the_capacity_plan_is_made(command: Command) -> None:
    words = shlex.split(command.line)
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "a million requests" in done.stdout


@pytest.mark.parametrize(
    "module", [benchmarks.bench, benchmarks.load, benchmarks.curves, benchmarks.predict]
)
def test_make_gives_the_benchmarks_options_they_have(module: object) -> None:
    name = module.__name__  # type: ignore[attr-defined]
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (line,) = re.findall(rf"-m {re.escape(name)} (.*)", makefile)
    done = subprocess.run(
        [sys.executable, "-m", name, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(option in done.stdout for option in re.findall(r"--[a-z-]+", line))


def own_python() -> list[tuple[str, str]]:
    """Code that a page shows, and what it prints; files of the repository run elsewhere."""
    notes = [(b.text, b.note.partition("=")) for b in blocks("python")]
    return [(text, value or "happy") for text, (name, _, value) in notes if name in ("", "prints")]


@pytest.mark.parametrize(("code", "expected"), own_python())
def test_python_runs(code: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert expected in done.stdout, done.stderr


def test_python_is_typed() -> None:
    """A user's strict mypy finds the library's types, and finds the pages' code right."""
    assert (ROOT / "emotion" / "py.typed").is_file()
    parts = enumerate(code for code, _ in own_python())
    whole = "\n".join(f"def part_{n}() -> None:\n{indented(code)}" for n, code in parts)
    options = ["--strict", "--config-file=", "--follow-imports=silent"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "-c", whole],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


def indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_parts_are_current(page: Path) -> None:
    text = page.read_text()
    assert set(names(text)) == set(GENERATED[page])
    assert generated(page) == text, "run `make docs`"


def test_a_stale_part_is_noticed() -> None:
    page = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb"
    assert fill(page, {"x": lambda: "new"}) == page.replace("old", "new")
    with pytest.raises(KeyError):
        fill(page, {})


def test_the_picture_of_the_pipeline_is_current() -> None:
    def without_pixels(svg: str) -> str:
        return re.sub(r"base64,[^\"]+", "", svg)

    drawn = pipeline.draw()
    assert without_pixels(drawn) == without_pixels(pipeline.PICTURE.read_text()), "run `make docs`"
    assert drawn.count("<image") == 6


@pytest.mark.parametrize(
    ("busy", "seconds", "said"),
    [
        (0.1, 0.5, "**A trial run, not a measurement:** 0.5 seconds a point are too few. "),
        (2.0, 60, "**A trial run, not a measurement:** 2.0 processes a core were running"),
        (0.1, 60, "The machine was quiet before."),
    ],
)
def test_a_trial_run_is_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: float, seconds: float, said: str
) -> None:
    measured = {"load_per_core_before": busy, "seconds": seconds}
    report = json.loads(deploy.CURVES.read_text()) | measured
    (tmp_path / "curves.json").write_text(json.dumps(report))
    monkeypatch.setattr(deploy, "CURVES", tmp_path / "curves.json")
    text = deploy.curves()
    assert said in text
    assert ("plan with none" in text) == ("trial" in said)


def test_the_curves_are_drawn_from_their_numbers(tmp_path: Path) -> None:
    plot(deploy.CURVES, tmp_path / "curves.svg")
    svg = (tmp_path / "curves.svg").read_text()
    for axis in ("threads", "workers", "clients", "faces", "detector", "artifact"):
        assert f">{axis}<" in svg
    assert deploy.CURVES.with_suffix(".svg").is_file()


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    for name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()):
        path, test = name
        assert (ROOT / path).is_file(), path
        assert f"def {test}(" in (ROOT / path).read_text() or not test, name


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in readme, page.name
    assert os.access(ROOT / "examples" / "compare.ipynb", os.R_OK)
