"""compose.yaml: right by its schema, and what it says of the desk is so."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import (
    DEPLOY,
    LEARNED,
    UID,
    check_prometheus,
    desks_of,
    is_pinned,
    only_linux,
    run,
    settings_of,
    stop_seconds,
    tool,
)

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
FILES = ("compose.yaml", "compose.cuda.yaml")


def made_env(folder: Path) -> dict[str, str]:
    """What make-env writes."""
    folder.mkdir()
    shutil.copy(DEPLOY / "make-env", folder)
    made = run(folder / "make-env")
    assert made.returncode == 0, made.stderr
    lines = (folder / ".env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return made_env(tmp_path / "deploy")


@pytest.fixture
def compose(env: dict[str, str]) -> dict[str, Any]:
    return yaml.safe_load(interpolated("compose.yaml", env))


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def interpolated(name: str, env: dict[str, str]) -> str:
    return _VARIABLE.sub(
        lambda found: env[found[1]] or (found[3] if found[2] == "-" else ""),
        (DEPLOY / name).read_text("utf-8"),
    )


@pytest.mark.parametrize("name", FILES)
def test_it_fits_the_schema(name: str, env: dict[str, str], tmp_path: Path):
    file = tmp_path / name
    file.write_text(interpolated(name, env), "utf-8")
    checked = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file)
    assert checked.returncode == 0, checked.stdout


def test_passwords_are_made_once_for_their_owner_alone(tmp_path: Path):
    first, second = made_env(tmp_path / "a"), made_env(tmp_path / "b")
    passwords = {name for name in first if name.endswith("PASSWORD")}
    assert len({first[name] for name in passwords} | {second[name] for name in passwords}) == 6
    assert all(len(first[name]) >= 32 for name in passwords)
    file = tmp_path / "a" / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run(tmp_path / "a" / "make-env")
    assert again.returncode == 1
    assert "Nothing was changed" in again.stderr
    assert first["POSTGRES_PASSWORD"] in file.read_text("utf-8")


def test_no_password_has_a_default():
    for name, sign, _ in _VARIABLE.findall((DEPLOY / "compose.yaml").read_text("utf-8")):
        assert sign == ("?" if name.endswith("PASSWORD") else "-"), name


def test_desks_get_settings_that_fit(services, env, monkeypatch: pytest.MonkeyPatch):
    settings = settings_of(services["desk-1"]["environment"], monkeypatch)
    assert env["POSTGRES_PASSWORD"] in settings.database
    assert settings.generator.threads == 0  # counted, within the limit
    assert services["desk-1"]["deploy"]["resources"]["limits"]["cpus"] == env["DESK_CPUS"]
    assert _seconds(services["desk-1"]["stop_grace_period"]) > stop_seconds(settings)
    assert services["desk-1"]["environment"] == services["desk-2"]["environment"]


def _seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_containers_can_do_little(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys(), name
        assert is_pinned(service["image"]), service["image"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is open to the network by default"


def test_databases_are_reached_by_desks_alone(compose, services):
    assert compose["networks"]["data"]["internal"] is True
    inside = {name for name, service in services.items() if "data" in service["networks"]}
    assert inside == {"postgres", "redis", "setup", "desk-1", "desk-2"}
    for name in ("postgres", "redis"):
        assert services[name]["networks"] == ["data"]
        assert "ports" not in services[name]


def test_what_is_mounted_is_there(compose, services):
    used = set()
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name}: {source}"
            else:
                used.add(source)
    assert used == compose["volumes"].keys()


def test_desks_share_what_they_learned_and_nothing_else(services):
    first, second = (
        dict(volume.split(":")[:2][::-1] for volume in services[name]["volumes"])
        for name in ("desk-1", "desk-2")
    )
    shared = {place for place in first if first[place] == second.get(place)}
    assert shared == {f"/data/{folder}" for folder in (*LEARNED, "models")}
    assert first.keys() - shared == second.keys() - shared == {"/data"}


def test_the_gateway_knows_each_desk_by_an_address_that_stays(services):
    desks = desks_of((DEPLOY / "compose" / "desks.conf").read_text("utf-8"))
    assert desks == ["desk-1:8000", "desk-2:8000"]
    known = dict(host.split("=") for host in services["gateway"]["extra_hosts"])
    for desk in ("desk-1", "desk-2"):
        assert services[desk]["networks"]["front"]["ipv4_address"] == known[desk]


def test_prometheus_asks_each_desk_with_the_key_that_setup_makes(services, tmp_path: Path):
    config = DEPLOY / "prometheus" / "compose.yml"
    (job,) = yaml.safe_load(config.read_text("utf-8"))["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["desk-1:8000", "desk-2:8000"]
    assert job["authorization"]["credentials_file"] in services["setup"]["command"][0]
    assert "keys:/keys" in services["setup"]["volumes"]
    assert "keys:/keys:ro" in services["prometheus"]["volumes"]


@only_linux
@pytest.mark.parametrize("name", ["compose.yml", "kubernetes.yml"])
def test_prometheus_takes_its_configuration(name: str, tmp_path: Path):
    check_prometheus(DEPLOY / "prometheus" / name, tmp_path)


def test_grafana_finds_the_dashboard_and_prometheus(services):
    folder = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((folder / "dashboards" / "kefu.yml").read_text())["providers"]
    mounted = f"./grafana/kefu.json:{provider['options']['path']}/kefu.json:ro"
    assert mounted in services["grafana"]["volumes"]


def test_the_cuda_variant_changes_services_that_there_are(services, env):
    cuda = yaml.safe_load(interpolated("compose.cuda.yaml", env))["services"]
    assert cuda.keys() == {name for name in services if services[name]["image"].startswith("kefu:")}
    assert {service["build"]["args"]["VARIANT"] for service in cuda.values()} == {"cuda"}
    assert {service["image"] for service in cuda.values()} == {f"{services['setup']['image']}-cuda"}


def test_volumes_that_the_image_does_not_own_are_not_written(services):
    """Docker gives a new volume the owner of the folder it takes the place of."""
    owned = re.search(
        r"install --directory --owner kefu .*?\\\n\s*(.+)", (DEPLOY / "Dockerfile").read_text()
    )
    assert owned
    for name in ("setup", "desk-1", "desk-2"):
        places = {volume.split(":")[1] for volume in services[name]["volumes"]}
        assert places <= set(owned[1].split())
    assert f"uid={UID}" in services["gateway"]["tmpfs"][0]
