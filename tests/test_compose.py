"""docker-compose.yml and the lock files, held against their specifications and the project."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from benchmarks.worst_case import memory_limit
from service.settings import Settings, UnknownSettingError, check_names
from tests.conftest import ROOT
from tests.manifests import leaves_places, longest_end
from tests.tools import tool

FILE = ROOT / "docker-compose.yml"
COMPOSE = YAML(typ="safe").load(FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCKS = {
    "requirements.lock": PROJECT["project"]["dependencies"],
    "requirements-extras.lock": PROJECT["project"]["dependencies"]
    + [
        r
        for extra in ("remote", "s3", "gcs", "otel", "grpc")
        for r in EXTRAS[extra]
        if not r.startswith("emotion-service[")
    ],
    "requirements-build.lock": PROJECT["dependency-groups"]["build"],
    "requirements-training.lock": PROJECT["project"]["dependencies"] + EXTRAS["training"],
}
# made elsewhere; what mounts them is tested where they are
MADE_ELSEWHERE = {"./model_store"}


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_compose_follows_the_specification(tmp_path: Path) -> None:
    assert validate(FILE).returncode == 0, validate(FILE).stdout
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(FILE.read_text().replace("cap_drop:", "cap_dorp:"))
    refused = validate(wrong)
    assert refused.returncode == 1
    assert "cap_dorp" in refused.stdout


def test_what_compose_reads_of_the_shell_ends_no_service() -> None:
    read = set(re.findall(r"\$\{(\w+)", FILE.read_text()))
    assert {"EMOTION_BIND", "EMOTION_USER", "EMOTION_DATA_DIR"} < read
    check_names(read)
    with pytest.raises(UnknownSettingError, match="EMOTION_BINDS is no setting"):
        check_names({"EMOTION_BINDS"})


def test_profiles() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert profiles == {
        "emotion": [],
        "replica": ["scale"],
        "proxy": ["scale"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
        "training": ["training"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert {"mem_limit", "pids_limit"} <= set(service)
    assert not {"privileged", "network_mode", "pid", "cap_add"} & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_can_start(name: str) -> None:
    service = SERVICES[name]
    if "build" not in service:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?", service["image"]), "pin the release"
    for variable in service.get("environment", {}):
        if variable.startswith("EMOTION_"):
            assert variable.removeprefix("EMOTION_").lower() in Settings.model_fields
    for volume in service["volumes"]:
        source, target, *mode = re.sub(r"\$\{.*?\}", "variable", volume).split(":")
        if source.startswith("./") and source not in MADE_ELSEWHERE:
            assert (ROOT / source).exists(), source
            assert mode == ["ro"] or (ROOT / source / ".gitignore").is_file()  # a folder for output
        elif not source.startswith(("./", "variable")):
            assert source in COMPOSE["volumes"], source
        if name in ("emotion", "replica"):
            assert (source, target, mode) in (
                ("./model_store", "/app/model_store", ["ro"]),
                ("cache", service["environment"]["EMOTION_CACHE_DIR"], []),
            )


def settings(name: str) -> Settings:
    """Those that a service has where the shell sets none."""
    return Settings(
        **{
            variable.removeprefix("EMOTION_").lower(): value
            for variable, value in SERVICES[name]["environment"].items()
            if variable.startswith("EMOTION_") and value is not None
        }
    )


def grace(name: str) -> int:
    """Seconds that a service has to end."""
    return int(SERVICES[name]["stop_grace_period"].removesuffix("s"))


@pytest.mark.parametrize("name", ["emotion", "replica"])
def test_a_service_may_finish_what_it_has_begun(name: str) -> None:
    assert grace(name) > longest_end(settings(name))


@pytest.mark.parametrize("name", ["emotion", "replica"])
def test_one_client_leaves_places_for_others(name: str) -> None:
    assert leaves_places(settings(name))


def test_so_it_is_by_default() -> None:
    assert leaves_places(Settings(threads=1))


def test_replicas_end_and_answer_within_the_proxys_times() -> None:
    chosen = settings("replica")
    proxy = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    every, fall = re.search(r"inter (\d+)ms fall (\d+)", proxy).groups()
    assert chosen.drain_seconds > int(every) / 1000 * (int(fall) + 1)
    seconds = {
        what: int(re.search(rf"timeout {what} +(\d+)s", proxy)[1])
        for what in ("connect", "queue", "server")
    }
    assert seconds["server"] > chosen.deadline_seconds
    assert SERVICES["proxy"]["stop_signal"] == "SIGUSR1"
    assert grace("proxy") > sum(seconds.values())


@pytest.mark.parametrize("name", SERVICES)
def test_strangers_are_let_in_only_where_that_is_asked_for(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith(("127.0.0.1:", "${EMOTION_BIND:-127.0.0.1}:"))
    if name in ("emotion", "replica"):  # taken from the shell, where it has them
        environment = SERVICES[name]["environment"]
        assert environment["EMOTION_API_KEYS"] is environment["EMOTION_METRICS_OPEN"] is None


@pytest.mark.parametrize("name", ["emotion", "replica"])
def test_the_worst_case_fits_into_the_memory(name: str) -> None:
    limit = int(SERVICES[name]["mem_limit"].removesuffix("g")) * 2**30
    assert limit == memory_limit(settings(name))


def test_the_image_has_a_cache_that_its_user_may_write() -> None:
    """A named volume takes its owner from the image's directory."""
    text = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    user, group = re.search(r"^USER (\d+):(\d+)", text, re.MULTILINE).groups()
    cache = SERVICES["emotion"]["environment"]["EMOTION_CACHE_DIR"]
    made = f"install --directory --owner={user} --group={group} {cache}\n"
    assert made in text.partition("USER")[0]


def test_images_are_built_from_locked_packages_alone() -> None:
    """What is built from source would else fetch what builds it, unlocked."""
    commands = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").replace("&&", "\nRUN")
    built = re.findall(r"^ *RUN +pip wheel .*", commands, re.MULTILINE)
    assert len(built) == 3
    assert all("--no-build-isolation" in command for command in built)
    installed = re.findall(r"^ *RUN +pip .*install .*", commands, re.MULTILINE)
    assert len(installed) == 3
    for command in installed:
        assert "--no-binary" not in command
        assert "--no-index" in command or "--only-binary :all:" in command


def test_clients_behind_the_proxy_are_told_apart() -> None:
    replica = SERVICES["replica"]
    assert "ports" not in replica  # nobody else may say who the client is
    assert replica["environment"]["FORWARDED_ALLOW_IPS"] == "*"
    proxy = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    assert "option forwardfor" in proxy
    assert "http-request del-header X-Forwarded-For" in proxy


def test_haproxy_accepts_its_configuration() -> None:
    program = tool("haproxy", "haproxy")
    command = [program, "-c", "-dW", "-f", ROOT / "deploy" / "haproxy" / "haproxy.cfg"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr  # -dW: a warning is an error


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    program = tool("promtool", "prometheus")
    # as mounted: the rules beside the configuration
    for volume in SERVICES["prometheus"]["volumes"]:
        source, _, target = volume.partition(":")
        if source.startswith("./"):
            (tmp_path / Path(target.removesuffix(":ro")).name).write_bytes(
                (ROOT / source).read_bytes()
            )
    done = subprocess.run(
        [program, "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_its_dashboards_and_prometheus() -> None:
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (provider,) = YAML(typ="safe").load(provisioning / "dashboards" / "emotion.yml")["providers"]
    folder = provider["options"]["path"]
    assert any(f":{folder}/" in volume for volume in SERVICES["grafana"]["volumes"])
    (source,) = YAML(typ="safe").load(provisioning / "datasources" / "prometheus.yml")[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"


def locked(file: str) -> dict[str, list[tuple[str, str]]]:
    """Package: its versions with all their lines."""
    blocks = re.split(r"^(?=\S)", (ROOT / file).read_text(), flags=re.MULTILINE)
    found: dict[str, list[tuple[str, str]]] = {}
    for block in blocks:
        if match := re.match(r"([\w.-]+)==(\S+)", block):
            found.setdefault(canonicalize_name(match[1]), []).append((match[2], block))
    return found


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_is_that_of_the_project(file: str) -> None:
    versions = locked(file)
    wanted = {canonicalize_name(r.name): r for r in map(Requirement, LOCKS[file])}
    for name, requirement in wanted.items():
        assert name in versions, f"{name} is not in {file}: make lock"
        for version, _ in versions[name]:
            assert requirement.specifier.contains(version), f"{name} {version}: make lock"
    asked = {name for name, found in versions.items() if "# via emotion-service" in found[0][1]}
    asked |= {name for name, found in versions.items() if "#   emotion-service" in found[0][1]}
    assert asked == set(wanted), f"{file} has what pyproject.toml does not ask for: make lock"


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_has_hashes_and_no_address(file: str) -> None:
    for name, found in locked(file).items():
        for _, block in found:
            assert "--hash=sha256:" in block, name
    assert "://" not in (ROOT / file).read_text()


def test_serving_needs_no_tensorflow() -> None:
    assert not {"tensorflow", "keras", "scikit-learn"} & set(locked("requirements.lock"))
    assert {"tensorflow", "keras", "scikit-learn"} <= set(locked("requirements-training.lock"))
