"""Dashboard and alerts ask for metrics that a desk has, in the names and with the labels it gives."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kefu.telemetry import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "kefu.json").read_text("utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
ASKED = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ASKED += [rule["expr"] for rule in RULES]

_METRIC = re.compile(r"\b((?:kefu|process)_\w+|up)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"by \(([^)]*)\)\s*\(\s*(?:rate|increase)\(((?:kefu|process)_\w+)")
_ALWAYS = {"instance", "job", "le"}


def _known() -> dict[str, set[str]]:
    """Every sample name with its labels."""
    names = {}
    for family in Metrics().registry.collect():
        suffixes = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_count", "_sum"),
            "gauge": ("",),
        }[family.type]
        names.update({family.name + suffix: set() for suffix in suffixes})
    for metric in vars(Metrics()).values():
        for suffix in ("_total", "_bucket", ""):
            name = getattr(metric, "_name", "") + suffix
            if name in names:
                names[name] |= set(metric._labelnames)
    return names


KNOWN = _known() | {"up": set()}  # Prometheus's own


@pytest.mark.parametrize("expression", ASKED)
def test_what_is_asked_for_is_there(expression):
    found = _METRIC.findall(expression)
    assert found
    for name, selector in found:
        assert name in KNOWN, name
        labels = set(re.findall(r"(\w+)\s*=", selector))
        assert labels <= KNOWN[name] | _ALWAYS
    for labels, name in _GROUPED.findall(expression):
        assert set(re.findall(r"\w+", labels)) <= KNOWN[name] | _ALWAYS


def test_every_alert_says_what_to_do():
    for rule in RULES:
        assert {"summary", "what_to_do"} == rule["annotations"].keys()
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_panels_stand_apart():
    seen = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & seen
        seen |= cells


def test_prometheus_takes_the_rules():
    promtool = shutil.which("promtool")
    if promtool is None and sys.platform != "linux":
        pytest.skip("deploy/test-services brings promtool on Debian only")
    assert promtool, "promtool is missing: run deploy/test-services"
    ran = subprocess.run(
        [promtool, "check", "config", DEPLOY / "prometheus" / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
