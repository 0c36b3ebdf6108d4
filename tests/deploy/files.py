"""What the deployment files say, for tests that hold it against the desk and against each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from kefu.app import create_app
from kefu.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
# Longer than the desk waits for its turns: uvicorn waits so long for connections (cli/serve.py).
CONNECTION_SECONDS = 2
# Which folders of a data folder all desks have to share.
LEARNED = ("intents", "answers", "moderation")
UID = 10001

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="the tool is there for Linux only")


def tool(name: str) -> str:
    """A program that the dev extra, or deploy/test-services, installs."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing: make test installs it"
    return found


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )


def is_setting(name: str) -> bool:
    """Whether kefu reads this variable of the environment."""
    model: Any = Settings
    for part in name.removeprefix("KEFU_").lower().split("__"):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return False
        if part not in model.model_fields:
            return False
        model = model.model_fields[part].annotation
    return True


def settings_of(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a desk makes of these variables. Raises where one does not fit."""
    for name, value in environment.items():
        if name.startswith("KEFU_"):
            monkeypatch.setenv(name, value)
    return load_settings()


def stop_seconds(settings: Settings) -> float:
    """The longest that a desk takes to stop, but for closing what it has open."""
    server = settings.server
    return server.drain_seconds + server.shutdown_seconds + CONNECTION_SECONDS


@cache
def routes() -> frozenset[str]:
    return frozenset(create_app(Settings()).openapi()["paths"])


def desks_of(text: str) -> list[str]:
    """`host:port` of each desk of a desks.conf."""
    return re.findall(r"^server (\S+) .*;$", text, re.MULTILINE)


def is_pinned(image: str) -> bool:
    """It names a version, with a number that says more than which generation it is."""
    return re.search(r":v?\d+\.\d+[\w.-]*$", image) is not None


def check_prometheus(config: Path, tmp_path: Path) -> None:
    """promtool takes it; the key that it names need not be there."""
    folder = tmp_path / "prometheus"
    shutil.copytree(config.parent, folder)
    (tmp_path / "key").touch()
    whole = yaml.safe_load(config.read_text("utf-8"))
    for job in whole["scrape_configs"]:
        job["authorization"]["credentials_file"] = str(tmp_path / "key")
        job.pop("kubernetes_sd_configs", None)  # Debian builds its Prometheus without
    copy = folder / config.name
    copy.write_text(yaml.safe_dump(whole), "utf-8")
    checked = run(tool("promtool"), "check", "config", copy)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Name and argument of each, comments and broken lines taken out."""
    lines = [
        line
        for line in dockerfile.read_text("utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole.splitlines()]


def load_all(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]
