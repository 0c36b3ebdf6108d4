"""A desk whose encoder is a Triton server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import BUSY_MACHINE, wait_until
from tests.triton import TritonServer, started_triton

pytestmark = pytest.mark.models

ENCODER = "use-multilingual-v3"
QUESTION, REPEATED = "怎么申请退货？", "退货的运费谁出？"
OTHER_FILE = f"""\
[[model]]
name = "{ENCODER}"
task = "encoder"
title = "Another version"

[[model.files]]
path = "model.onnx"
sha256 = "{"ab" * 32}"
sources = ["file:/nowhere/model.onnx"]
"""


@pytest.fixture
def data_dir(tmp_path: Path, models_dir: Path) -> Path:
    """With all models but the encoder."""
    folder = tmp_path / "data"
    (folder / "models").mkdir(parents=True)
    for model in models_dir.iterdir():
        if model.name != ENCODER and not model.name.startswith("."):
            (folder / "models" / model.name).symlink_to(model, target_is_directory=True)
    return folder


@pytest.fixture
def mortal(triton_repository: Path, tmp_path: Path) -> Iterator[TritonServer]:
    with started_triton(triton_repository, tmp_path) as server:
        yield server


def test_it_answers_and_says_when_the_server_is_away(
    new_desk: NewDesk, mortal: TritonServer
) -> None:
    """Over gRPC, which has threads of its own beside the desk's children."""
    desk = new_desk(settings={**BUSY_MACHINE, "KEFU_ENCODER__URL": mortal.url("grpc")}).start()
    assert desk.ask(QUESTION)["source"] == "faq"
    assert not (desk.data_dir / "models" / ENCODER).exists()

    mortal.kill()
    ready = desk.get("/readyz")
    assert ready.status_code == 503
    assert "is not there" in ready.json()["parts"]["encoder"]
    refused = desk.post(REPEATED, uid="bob")
    assert (refused.status_code, refused.json()["code"]) == (503, "encoder_unavailable")
    assert refused.headers["retry-after"]
    # What was asked before needs no encoder.
    assert desk.ask(QUESTION, uid="eve")["source"] == "faq"

    mortal.start()
    wait_until(lambda: desk.get("/readyz").status_code == 200, "the desk is ready again")
    assert desk.ask(REPEATED, uid="bob")["source"] == "faq"


def test_a_server_with_another_file_is_refused(
    data_dir: Path, triton: TritonServer, new_desk: NewDesk
) -> None:
    (data_dir / "catalogue.toml").write_text(OTHER_FILE, "utf-8")
    desk = new_desk(settings={**BUSY_MACHINE, "KEFU_ENCODER__URL": triton.url("http")})
    desk.launch()
    assert desk.process
    assert desk.process.wait(60) == 1
    said = " ".join(desk.log.split())
    assert f"does not serve {ENCODER}-{'ab' * 8}-512; it has {ENCODER}-b8b05b01f0861094-512" in said
    assert "kefu models export-triton" in said
