"""Commands where `encoder.url` is set: none needs the model's file here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kefu.inference.models import required_models
from kefu.settings import load_settings
from tests.command_line import commands
from tests.e2e.desk_process import free_port
from tests.triton import TritonServer

NAME = "use-multilingual-v3-b8b05b01f0861094-512"


def ask(data_dir: Path, url: str, monkeypatch: pytest.MonkeyPatch, *words: str, code: int) -> Any:
    monkeypatch.setenv("KEFU_ENCODER__URL", url)
    with commands(data_dir, *words) as run:
        return run("--json").json(code)


@pytest.mark.models
def test_the_knowledge_is_searched_with_its_vectors(
    tmp_path: Path, triton: TritonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = triton.url("grpc")
    entries = tmp_path / "faq.csv"
    entries.write_text("question,answer\n怎么申请退货？,七天内都可以。\n", "utf-8")
    ask(tmp_path, url, monkeypatch, "kb", "import", str(entries), code=0)
    found = ask(tmp_path, url, monkeypatch, "kb", "search", "How do I return it?", code=0)
    assert found["matches"][0]["question"] == "怎么申请退货？"
    assert not (tmp_path / "models").exists()


@pytest.mark.models
def test_doctor_looks_at_the_server(
    tmp_path: Path, triton: TritonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(url: str) -> dict[str, str]:
        rows = ask(tmp_path, url, monkeypatch, "doctor", code=1)  # no generator here either
        return next(row for row in rows if row["what"] == "encoder")

    url = triton.url("http")
    assert found(url)["state"] == "ok"
    assert found(url)["detail"] == f"{NAME} at {url.removeprefix('http://')}"
    nowhere = f"127.0.0.1:{free_port()}"
    assert found(f"http://{nowhere}")["state"] == "error"
    assert f"{nowhere} is not there" in found(f"http://{nowhere}")["detail"]


def test_the_file_is_not_fetched(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path, "encoder": {"url": "http://triton:8000"}})
    assert "use-multilingual-v3" not in required_models(settings)
