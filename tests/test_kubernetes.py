"""deploy/kubernetes and deploy/kserve, held against published schemas and the project."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
from dotenv import dotenv_values
from ruamel.yaml import YAML

from benchmarks.worst_case import ARTIFACTS, memory_limit, serving, worst_case
from docs.generate import rules
from service.settings import Settings
from tests.conftest import ROOT
from tests.manifests import (
    MANIFESTS,
    VERSIONS,
    Document,
    faults,
    leaves_places,
    longest_end,
    misspelt,
    read,
)
from tests.tools import tool

DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "kubernetes" / "base"
KUSTOMIZATIONS = [BASE, DEPLOY / "kubernetes" / "production", DEPLOY / "kserve"]
POD: Document = MANIFESTS["kubernetes/base/deployment.yaml"]["spec"]["template"]["spec"]
RUNTIME: Document = MANIFESTS["kserve/servingruntime.yaml"]["spec"]
PREDICTOR: Document = MANIFESTS["kserve/inferenceservice.yaml"]["spec"]["predictor"]
# of each way to run it: the pod's fields, its container, its settings
WAYS = {
    "kubernetes": (POD, POD["containers"][0], dict(dotenv_values(BASE / "settings.env"))),
    "kserve": (
        PREDICTOR | {"volumes": RUNTIME["volumes"]},
        RUNTIME["containers"][0],
        {variable["name"]: variable["value"] for variable in RUNTIME["containers"][0]["env"]},
    ),
}
each_way = pytest.mark.parametrize("way", WAYS)


def settings(way: str) -> Settings:
    given = WAYS[way][2]
    return Settings(**{name.removeprefix("EMOTION_").lower(): v for name, v in given.items()})


def size(quantity: str) -> int:
    """Bytes of a Kubernetes quantity."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_follow_the_published_schemas(name: str, version: str) -> None:
    assert faults(MANIFESTS[name], version) == []


@pytest.mark.parametrize("name", MANIFESTS)
def test_no_field_can_be_misspelt(name: str) -> None:
    wrong = dict(misspelt(MANIFESTS[name]))
    assert len(wrong) > 4
    assert [place for place, document in wrong.items() if not faults(document)] == []


def test_every_kind_that_is_asked_for_is_there() -> None:
    assert sorted(manifest["kind"] for manifest in MANIFESTS.values()) == [
        "Deployment",
        "HorizontalPodAutoscaler",
        "InferenceService",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Service",
        "ServiceMonitor",
        "ServingRuntime",
    ]


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda folder: folder.name)
def test_kustomizations_name_all_their_files(folder: Path) -> None:
    kustomization = read(folder / "kustomization.yaml")
    named = {name for name in kustomization["resources"] if name.endswith(".yaml")}
    assert named | {"kustomization.yaml"} == {path.name for path in folder.glob("*.yaml")}
    for name in set(kustomization["resources"]) - named:
        assert (folder / name / "kustomization.yaml").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for image in kustomization.get("images", []):
        assert image == {"name": "emotion-service", "newTag": project["version"]}


def rendered(folder: Path) -> dict[str, Document]:
    program = tool("kubectl", "kubernetes-client")
    done = subprocess.run(
        [program, "kustomize", folder], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return {document["kind"]: document for document in YAML(typ="safe").load_all(done.stdout)}


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda folder: folder.name)
def test_what_kustomize_makes_follows_the_schemas_too(folder: Path) -> None:
    made = rendered(folder)
    for document in made.values():
        assert faults(document) == []
    workload = made.get("Deployment", {}).get("spec", {}).get("template") or made["ServingRuntime"]
    assert re.fullmatch(r"emotion-service:\d.*", workload["spec"]["containers"][0]["image"])
    if folder.name == "production":
        assert "replicas" not in made["Deployment"]["spec"]  # the autoscaler's
        assert {d["metadata"].get("namespace", "emotion") for d in made.values()} == {"emotion"}


@each_way
def test_pods_are_confined(way: str) -> None:
    pod, container, _ = WAYS[way]
    user = int(re.search(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1])
    confined = pod.get("securityContext", {}) | container["securityContext"]
    assert confined == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp", "/cache"]
    assert [set(volume) for volume in pod["volumes"]] == [{"name", "emptyDir"}] * 2


@each_way
def test_a_pod_has_a_disk_for_a_store_elsewhere(way: str) -> None:
    pod, container, given = WAYS[way]
    (name,) = (
        mount["name"]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == given["EMOTION_CACHE_DIR"]
    )
    (volume,) = (volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == name)
    assert "medium" not in volume  # memory would count as the pod's
    assert size(volume["sizeLimit"]) >= 3 * ARTIFACTS


@each_way
def test_settings_are_the_services(way: str) -> None:
    pod, _, given = WAYS[way]
    assert given
    for variable in given:
        assert variable.removeprefix("EMOTION_").lower() in Settings.model_fields, variable
    # a Service called emotion gives the pods beside it EMOTION_PORT=tcp://...
    assert pod["enableServiceLinks"] is False


def test_both_ways_and_compose_agree() -> None:
    given = read(ROOT / "docker-compose.yml")["services"]["emotion"]["environment"]
    compose = {name: value for name, value in given.items() if value is not None}
    assert WAYS["kubernetes"][2] == WAYS["kserve"][2]
    assert compose.items() <= WAYS["kubernetes"][2].items()


@each_way
def test_the_worst_case_fits_into_the_limit(way: str) -> None:
    pod, container, _ = WAYS[way]
    resources = container["resources"]
    scratch = sum(
        size(volume["emptyDir"]["sizeLimit"])
        for volume in pod["volumes"]
        if volume["emptyDir"].get("medium") == "Memory"
    )
    limit = size(resources["limits"]["memory"])
    assert worst_case(settings(way)) + scratch <= limit == memory_limit(settings(way))
    assert size(resources["requests"]["memory"]) >= serving()
    assert (
        resources["limits"]["cpu"]
        == resources["requests"]["cpu"]
        == WAYS[way][2]["EMOTION_THREADS"]
    )


@each_way
def test_one_client_leaves_places_for_others(way: str) -> None:
    assert leaves_places(settings(way))


@each_way
def test_a_pod_may_finish_what_it_has_begun(way: str) -> None:
    pod, container, _ = WAYS[way]
    chosen = settings(way)
    assert pod["terminationGracePeriodSeconds"] > longest_end(chosen)
    probe = container["readinessProbe"]
    assert chosen.drain_seconds > probe["periodSeconds"] * probe["failureThreshold"]


@each_way
def test_probes_and_ports_are_the_services(way: str, http: httpx.Client) -> None:
    _, container, _ = WAYS[way]
    (port,) = container["ports"]
    exposed = re.search(r"^EXPOSE (\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
    assert port["containerPort"] == int(exposed)
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = container[name]["httpGet"]
        assert get["port"] in (port["name"], port["containerPort"])
        assert http.get(get["path"]).status_code == 200
    assert container["livenessProbe"]["httpGet"] != container["readinessProbe"]["httpGet"]


def test_everything_selects_the_pods() -> None:
    def base(name: str) -> Any:
        return MANIFESTS[f"kubernetes/{name}.yaml"]

    labels = base("base/deployment")["spec"]["template"]["metadata"]["labels"]
    service = base("base/service")
    selectors = [
        base("base/deployment")["spec"]["selector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in POD["topologySpreadConstraints"]),
        service["spec"]["selector"],
        base("base/disruption")["spec"]["selector"]["matchLabels"],
        base("base/network")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in selectors)
    monitor = base("production/servicemonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    target = base("production/autoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == base("base/deployment")["metadata"]["name"]


def test_the_rules_are_the_alerts() -> None:
    assert rules.RULE.read_text() == rules.text(), "run `make docs`"
    assert MANIFESTS["kubernetes/production/prometheusrule.yaml"]["spec"] == read(rules.ALERTS)
    service = MANIFESTS["kubernetes/base/service.yaml"]["metadata"]["name"]
    assert f'job="{service}"' in rules.ALERTS.read_text()


def test_the_autoscaler_reads_the_queue(http: httpx.Client, tmp_path: Path) -> None:
    queue, cpu = MANIFESTS["kubernetes/production/autoscaler.yaml"]["spec"]["metrics"]
    metric = queue["pods"]["metric"]["name"]
    assert f"# TYPE {metric} gauge" in http.get("/metrics").text
    assert int(queue["pods"]["target"]["averageValue"]) == settings("kubernetes").threads
    assert cpu["resource"]["name"] == "cpu"
    values = read(DEPLOY / "kubernetes" / "prometheus-adapter-values.yaml")
    (rule,) = values["rules"]["custom"]
    assert set(rule) == {"seriesQuery", "resources", "name", "metricsQuery"}
    assert rule["seriesQuery"].startswith(f"{metric}{{")
    assert rule["name"]["as"] == ""  # as it is called
    query = rule["metricsQuery"]
    for placeholder, value in {
        "<<.Series>>": metric,
        "<<.LabelMatchers>>": 'namespace="emotion",pod=~"a|b"',
        "<<.GroupBy>>": "pod",
    }.items():
        query = query.replace(placeholder, value)
    series = {
        'namespace="emotion",pod="a",instance="1"': ("2 0 4 0 4 0 4 0 4 0 4 0 4", 2),
        'namespace="emotion",pod="b",instance="2"': ("6x12", 6),
        'namespace="other",pod="a",instance="3"': ("9x12", None),
    }
    expected = [
        {"labels": f'{{pod="{re.search(r"pod=.(.).", labels)[1]}"}}', "value": value}
        for labels, (_, value) in series.items()
        if value is not None
    ]
    test = {
        "interval": "5s",
        "input_series": [
            {"series": f"{metric}{{{labels}}}", "values": values}
            for labels, (values, _) in series.items()
        ],
        "promql_expr_test": [{"expr": query, "eval_time": "60s", "exp_samples": expected}],
    }
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [], "tests": [test]}))
    done = subprocess.run(
        [tool("promtool", "prometheus"), "test", "rules", path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_the_kserve_that_the_manifests_are_for() -> None:
    schemas = (ROOT / "tests" / "schemas" / "README.md").read_text()
    (version,) = re.findall(r"KServe (\d+\.\d+\.\d+)", schemas)
    assert f"For KServe {version}," in (ROOT / "docs" / "deploy.md").read_text()


def test_kserve_speaks_the_open_inference_protocol(http: httpx.Client) -> None:
    model = PREDICTOR["model"]
    assert model["protocolVersion"] == "v2"
    assert "v2" in RUNTIME["protocolVersions"]
    assert model["runtime"] == MANIFESTS["kserve/servingruntime.yaml"]["metadata"]["name"]
    formats = [{f["name"]: f["version"]} for f in RUNTIME["supportedModelFormats"]]
    assert {model["modelFormat"]["name"]: model["modelFormat"]["version"]} in formats
    assert http.get("/v2").json()["name"]
    annotations = RUNTIME["annotations"]
    assert (
        int(annotations["prometheus.kserve.io/port"])
        == RUNTIME["containers"][0]["ports"][0]["containerPort"]
    )
    assert http.get(annotations["prometheus.kserve.io/path"]).status_code == 200
