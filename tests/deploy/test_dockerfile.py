"""The images: built from files that are there, of the versions that were tested."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import kefu
from kefu.doctor import builds
from tests.deploy.files import (
    DEPLOY,
    ROOT,
    UID,
    instructions,
    is_pinned,
    is_setting,
    only_linux,
    routes,
    run,
    tool,
)

DESK, GATEWAY = DEPLOY / "Dockerfile", DEPLOY / "nginx" / "Dockerfile"
BOTH = pytest.mark.parametrize("dockerfile", [DESK, GATEWAY], ids=["desk", "gateway"])


def all_of(dockerfile: Path, name: str) -> list[str]:
    return [argument for found, argument in instructions(dockerfile) if found == name]


def pinned(file: str) -> dict[str, str]:
    """Name and version of each package."""
    lines = (ROOT / file).read_text("utf-8").splitlines()
    return dict(re.findall(r"^([\w.-]+)==([\w.+!-]+)", "\n".join(lines), re.MULTILINE))


@only_linux
@BOTH
def test_hadolint_finds_nothing(dockerfile: Path):
    found = run(tool("hadolint"), "--no-color", dockerfile)
    assert found.returncode == 0, found.stdout


@BOTH
def test_all_that_is_copied_is_there_and_let_through(dockerfile: Path):
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_through = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    for copy in all_of(dockerfile, "COPY"):
        *sources, _ = [part for part in copy.split() if not part.startswith("--")]
        if "--from=" in copy:
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source in let_through, source


@BOTH
def test_it_does_not_run_as_root(dockerfile: Path):
    assert all_of(dockerfile, "USER") == [f"{UID}:{UID}"]
    made = " ".join(all_of(dockerfile, "RUN"))
    assert f"groupadd --gid {UID}" in made
    assert f"useradd --uid {UID}" in made


@BOTH
def test_the_image_is_of_this_version(dockerfile: Path):
    (label,) = all_of(dockerfile, "LABEL")
    labels = dict(part.split("=", 1) for part in shlex.split(label))
    assert labels["org.opencontainers.image.version"] == kefu.__version__
    for file in ("compose.yaml", "kubernetes/base/kustomization.yaml"):
        assert kefu.__version__ in (DEPLOY / file).read_text("utf-8")


def test_bases_are_pinned():
    (python,) = [arg for arg in all_of(DESK, "ARG") if arg.startswith("PYTHON=")]
    assert is_pinned(python)
    assert {base.split()[0] for base in all_of(DESK, "FROM")} == {"${PYTHON}"}
    assert all(is_pinned(base) for base in all_of(GATEWAY, "FROM"))


def test_packages_are_those_that_were_tested():
    assert any("--require-hashes -r constraints-cluster.txt" in run for run in all_of(DESK, "RUN"))
    tested, installed = pinned("constraints.txt"), pinned("constraints-cluster.txt")
    assert tested.items() <= installed.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    for wanted in (*extras["cluster"], *extras["traces"]):
        name = re.match(r"[\w-]+", wanted)
        assert name
        assert name[0] in installed, "run `make constraints`"


def test_variables_are_settings():
    (text,) = all_of(DESK, "ENV")[1:]
    names = [part.split("=")[0] for part in shlex.split(text)]
    settings = [name for name in names if name.startswith("KEFU_")]
    assert settings
    assert all(is_setting(name) for name in settings)


def test_llama_for_cards_comes_from_where_the_doctor_says():
    (index,) = [arg for arg in all_of(DESK, "ARG") if arg.startswith("CUDA_WHEELS=")]
    known = {f"{builds._INDEX}/{build.name}" for build in builds._CUDA_BUILDS}
    assert index.removeprefix("CUDA_WHEELS=") in known


def test_the_gateway_is_where_the_image_starts_it():
    (entry,) = all_of(GATEWAY, "ENTRYPOINT")
    _, _, prefix, _, name = json.loads(entry)
    (copy,) = all_of(GATEWAY, "COPY")
    assert copy == f"deploy/nginx {prefix.rstrip('/')}"
    assert (DEPLOY / "nginx" / name).exists()
    assert "listen 8080" in (DEPLOY / "nginx" / "listen.conf").read_text("utf-8")
    assert "location = /livez" in (DEPLOY / "nginx" / name).read_text("utf-8")


class _Readyz(http.server.BaseHTTPRequestHandler):
    status = 200
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not to standard error."""


@pytest.fixture
def desk() -> Iterator[http.server.HTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Readyz) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def healthcheck(port: int) -> int:
    """The exit status of the image's own command."""
    (check,) = all_of(DESK, "HEALTHCHECK")
    _, option, code = json.loads(check[check.index("[") :])
    asked = subprocess.run(
        [sys.executable, option, code.replace("8000", str(port))], stderr=subprocess.DEVNULL
    )
    return asked.returncode


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False)])
def test_the_health_check_asks_whether_the_desk_is_ready(desk, status: int, is_well: bool):
    _Readyz.status = status
    _Readyz.asked.clear()
    assert (healthcheck(desk.server_port) == 0) == is_well
    assert len(_Readyz.asked) == 1
    assert set(_Readyz.asked) <= routes()


def test_the_health_check_fails_where_nobody_answers(desk):
    port = desk.server_port
    desk.shutdown()
    desk.server_close()
    assert healthcheck(port) != 0
