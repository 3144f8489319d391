"""deploy/alerts.yml as the PrometheusRule that Prometheus's operator reads."""

from textwrap import indent

from benchmarks.server import ROOT

ALERTS = ROOT / "deploy" / "alerts.yml"
RULE = ROOT / "deploy" / "kubernetes" / "production" / "prometheusrule.yaml"
_HEAD = """\
# Made from deploy/alerts.yml by `make docs`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: emotion
  labels: {app.kubernetes.io/name: emotion} # and what your Prometheus selects by
spec:
"""


def text() -> str:
    """Return the manifest; the alerts stand in it as they are."""
    alerts = ALERTS.read_text()
    return _HEAD + indent(alerts[alerts.index("groups:") :], "  ")


def write() -> None:
    """Write the manifest."""
    RULE.write_text(text())
