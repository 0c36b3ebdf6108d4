"""The manifests as `kubectl kustomize` renders them: right by Kubernetes' schemas, and true."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

import kefu
from kefu.settings import load_settings
from kefu.telemetry import Metrics
from tests.deploy.files import (
    DEPLOY,
    LEARNED,
    UID,
    desks_of,
    is_pinned,
    is_setting,
    load_all,
    only_linux,
    routes,
    run,
    settings_of,
    stop_seconds,
    tool,
)

pytestmark = only_linux

OVERLAYS = ("production", "cuda", "trial")
# The oldest that has all fields (`preStop.sleep`), and the newest that there are schemas for.
VERSIONS = ("1.30", kubernetes_validate.latest_version())

Objects = list[dict[str, Any]]


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    folder = tmp_path_factory.mktemp("kubernetes") / "all"
    shutil.copytree(DEPLOY / "kubernetes", folder, ignore=shutil.ignore_patterns("*.env"))
    shutil.copy(
        folder / "production/connections.env.example", folder / "production/connections.env"
    )
    made = run(folder / "trial" / "make-passwords")
    assert made.returncode == 0, made.stderr
    rendered = run(tool("kubectl"), "kustomize", folder / request.param)
    assert rendered.returncode == 0, rendered.stderr
    return load_all(rendered.stdout)


def of(objects: Objects, *kinds: str) -> Objects:
    return [one for one in objects if one["kind"] in kinds]


def named(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    """With or without the hash that kustomize adds to what it generates."""
    (found,) = [
        one
        for one in of(objects, kind)
        if re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", one["metadata"]["name"])
    ]
    return found


def templates(objects: Objects) -> Objects:
    """Of all pods there will be."""
    return [one["spec"]["template"] for one in of(objects, "StatefulSet", "Deployment")]


def containers(objects: Objects) -> Objects:
    pods = [template["spec"] for template in templates(objects)]
    return [one for pod in pods for one in (*pod.get("initContainers", []), *pod["containers"])]


def desk_pod(objects: Objects) -> dict[str, Any]:
    return named(objects, "StatefulSet", "kefu-desk")["spec"]["template"]["spec"]


def gateway_pod(objects: Objects) -> dict[str, Any]:
    return named(objects, "Deployment", "kefu-gateway")["spec"]["template"]["spec"]


def environment(objects: Objects) -> dict[str, str]:
    """What a desk's container gets from ConfigMaps and Secrets."""
    found: dict[str, str] = {}
    for source in desk_pod(objects)["containers"][0]["envFrom"]:
        if "configMapRef" in source:
            found |= named(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
        else:
            secret = named(objects, "Secret", source["secretRef"]["name"])["data"]
            found |= {name: base64.b64decode(value).decode() for name, value in secret.items()}
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_all_fits_the_schemas(objects: Objects, version: str):
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)


def test_all_is_in_one_namespace_that_there_is(objects: Objects):
    (namespace,) = of(objects, "Namespace")
    for one in objects:
        if one is not namespace:
            assert one["metadata"]["namespace"] == namespace["metadata"]["name"], one["metadata"]


def test_what_is_referred_to_is_there(objects: Objects):
    kinds = {
        "configMapRef": "ConfigMap",
        "configMap": "ConfigMap",
        "secretRef": "Secret",
        "secretKeyRef": "Secret",
        "persistentVolumeClaim": "PersistentVolumeClaim",
        "service": "Service",
        "scaleTargetRef": "StatefulSet",
    }
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    found = {
        (kinds[key], value.get("name") or value.get("claimName"))
        for key, value in _pairs(objects)
        if key in kinds and isinstance(value, dict)
    }
    found |= {("Service", one["spec"]["serviceName"]) for one in of(objects, "StatefulSet")}
    assert len(found) > 5
    assert found <= there


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _pairs(inner)


def test_keys_of_secrets_are_there(objects: Objects):
    for one in containers(objects):
        for variable in one.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                secret = named(objects, "Secret", reference["name"])
                assert reference["key"] in secret["data"]


def test_every_selector_finds_a_pod(objects: Objects):
    labels = [template["metadata"]["labels"] for template in templates(objects)]
    most = named(objects, "HorizontalPodAutoscaler", "kefu-desk")["spec"]["maxReplicas"]
    (desk,) = [one for one in labels if one["app.kubernetes.io/name"] == "kefu-desk"]
    labels += [
        {**desk, "statefulset.kubernetes.io/pod-name": f"kefu-desk-{n}"} for n in range(most)
    ]
    selectors = [service["spec"]["selector"] for service in of(objects, "Service")]
    selectors += [
        one["spec"]["selector"]["matchLabels"] for one in of(objects, "PodDisruptionBudget")
    ]
    selectors += [
        policy["spec"]["podSelector"]["matchLabels"] for policy in of(objects, "NetworkPolicy")
    ]
    selectors += [
        spread["labelSelector"]["matchLabels"]
        for template in templates(objects)
        for spread in template["spec"].get("topologySpreadConstraints", [])
    ]
    assert len(selectors) > 12
    for selector in selectors:
        assert any(selector.items() <= one.items() for one in labels), selector


def test_ports_are_named_in_the_pods(objects: Objects):
    pods = {
        template["metadata"]["labels"]["app.kubernetes.io/name"]: {
            port["name"] for one in template["spec"]["containers"] for port in one["ports"]
        }
        for template in templates(objects)
    }
    for service in of(objects, "Service"):
        app = service["spec"]["selector"].get("app.kubernetes.io/name", "kefu-desk")
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in pods[app]
    for one in containers(objects):
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if "httpGet" in one.get(kind, {}):
                assert one[kind]["httpGet"]["port"] in {port["name"] for port in one["ports"]}


def test_the_gateway_knows_as_many_desks_as_there_may_be(objects: Objects):
    scaler = named(objects, "HorizontalPodAutoscaler", "kefu-desk")["spec"]
    config = named(objects, "ConfigMap", "kefu-gateway")["data"]["desks.conf"]
    services = {
        one["metadata"]["name"]: one["spec"]
        for one in of(objects, "Service")
        if "statefulset.kubernetes.io/pod-name" in one["spec"]["selector"]
    }
    wanted = [f"kefu-desk-{number}" for number in range(scaler["maxReplicas"])]
    assert desks_of(config) == [f"{name}:8000" for name in wanted]
    assert sorted(services) == wanted
    for name, spec in services.items():
        assert spec["selector"] == {"statefulset.kubernetes.io/pod-name": name}
        assert [port["port"] for port in spec["ports"]] == [8000]
        assert "clusterIP" not in spec  # nginx needs an address that stays
    assert "replicas" not in named(objects, "StatefulSet", "kefu-desk")["spec"]  # the scaler's


def test_probes_ask_for_what_the_desk_has(objects: Objects):
    (desk,) = desk_pod(objects)["containers"]
    known = routes()
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert desk[kind]["httpGet"]["path"] in known
    assert desk["ports"] == [{"name": "http", "containerPort": load_settings().server.port}]


def test_a_desk_has_time_to_leave(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    settings = settings_of(environment(objects), monkeypatch)
    pod = desk_pod(objects)
    assert pod["terminationGracePeriodSeconds"] > stop_seconds(settings)
    probe = pod["containers"][0]["readinessProbe"]
    unready = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert settings.server.drain_seconds > unready


def test_a_gateway_has_time_to_leave(objects: Objects):
    pod = gateway_pod(objects)
    process = (DEPLOY / "nginx" / "process.conf").read_text("utf-8")
    longest = re.search(r"worker_shutdown_timeout (\d+)s;", process)
    assert longest
    first = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > first + int(longest[1])


def test_variables_are_settings(objects: Objects):
    names = {*environment(objects)}
    names |= {one["name"] for pod in containers(objects) for one in pod.get("env", [])}
    ours = {name for name in names if name.startswith("KEFU_")}
    assert "KEFU_DATABASE" in ours
    assert [name for name in ours if not is_setting(name)] == []


def test_containers_can_do_little(objects: Objects):
    for template in templates(objects):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in containers(objects):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, one["name"]
        assert one["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in one["resources"]["limits"]
    for pod in (desk_pod(objects), gateway_pod(objects)):
        assert pod["securityContext"]["runAsUser"] == UID


def test_images_are_pinned_and_ours_are_of_this_version(objects: Objects):
    for one in containers(objects):
        assert is_pinned(one["image"]), one["image"]
        name, _, version = one["image"].partition(":")
        if name in ("kefu", "kefu-gateway"):
            assert version.removesuffix("-cuda") == kefu.__version__


def test_nobody_talks_to_a_desk_but_gateway_and_prometheus(objects: Objects):
    policies = {one["metadata"]["name"]: one["spec"] for one in of(objects, "NetworkPolicy")}
    assert policies["kefu-nobody"].keys() == {"podSelector", "policyTypes"}
    (incoming,) = policies["kefu-desk"]["ingress"]
    apps = {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in incoming["from"]
    }
    assert apps == {"kefu-gateway", "prometheus"}
    reached = {port["port"] for rule in policies["kefu-desk"]["egress"] for port in rule["ports"]}
    urls = environment(objects)
    for name in ("KEFU_DATABASE", "KEFU_REDIS"):
        port = re.search(r":(\d+)/", urls[name])
        assert port
        assert int(port[1]) in reached
    gateway = policies["kefu-gateway"]["egress"]
    assert {port["port"] for rule in gateway for port in rule["ports"]} == {53, 8000}


def test_it_scales_on_metrics_that_a_desk_has(objects: Objects):
    gauges = {one.name for one in Metrics().registry.collect() if one.type == "gauge"}
    scaler = named(objects, "HorizontalPodAutoscaler", "kefu-desk")["spec"]
    asked = {one["pods"]["metric"]["name"] for one in scaler["metrics"] if one["type"] == "Pods"}
    assert asked
    assert asked <= gauges
    adapter = yaml.safe_load((DEPLOY / "kubernetes" / "prometheus-adapter.yaml").read_text("utf-8"))
    (rule,) = adapter["rules"]["custom"]
    query = re.search(r'__name__=~"([^"]+)"', rule["seriesQuery"])
    assert query
    assert set(query[1].split("|")) == asked
    # The labels by which the adapter finds the pod are those that Prometheus is told to set.
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "kubernetes.yml").read_text("utf-8"))
    (job,) = scrape["scrape_configs"]
    labels = {one.get("target_label") for one in job["relabel_configs"]}
    assert rule["resources"]["overrides"].keys() <= labels
    (kept,) = [one["regex"] for one in job["relabel_configs"] if one.get("action") == "keep"]
    assert kept == "kefu-desk;http"


def test_what_was_learned_is_shared_where_desks_are_on_many_machines(objects: Objects):
    (desk,) = desk_pod(objects)["containers"]
    places = {mount["mountPath"]: mount["name"] for mount in desk["volumeMounts"]}
    shared = {place for place, name in places.items() if name == "learned"}
    claims = of(objects, "PersistentVolumeClaim")  # none in the trial, which is one machine
    assert shared == {f"/data/{folder}" for folder in LEARNED if claims}
    assert all(claim["spec"]["accessModes"] == ["ReadWriteMany"] for claim in claims)
    assert {"/data", "/tmp"} <= places.keys()
