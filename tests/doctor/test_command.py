"""`kefu doctor`: is everything there, and which generators does this machine carry?"""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.doctor import plan as doctor_plan
from kefu.doctor.plan import plan_of
from kefu.inference.generator.devices import Device
from kefu.settings import Settings
from tests.command_line import commands

GB = 10**9
BIG = "qwen2.5-7b-instruct"


def with_gpus(patch: pytest.MonkeyPatch, *free: int) -> None:
    devices = [Device(f"CUDA{n}", "card", "GPU", size, size) for n, size in enumerate(free)]
    patch.setattr(doctor_plan, "find_devices", lambda: devices)


def verdict(tmp_path: Path) -> str:
    return next(fit.verdict for fit in plan_of(Settings(data_dir=tmp_path)) if fit.model == BIG)


def test_what_is_missing_is_an_error_and_said_how_to_get(tmp_path: Path):
    with commands(tmp_path, "doctor") as run:
        findings = {finding["what"]: finding for finding in run("--json").json(code=1)}
    assert findings["encoder"]["state"] == "error"
    assert "kefu models pull" in findings["encoder"]["detail"]
    assert findings["sqlite"]["state"] == "ok"
    assert findings["llama.cpp"]["state"] in ("ok", "warning")
    assert "needs" in findings[f"model {BIG}"]["detail"]


def test_people_get_a_table_of_what_fits(tmp_path: Path):
    with commands(tmp_path, "doctor") as run:
        out = run().out
    assert BIG in out
    assert "GiB" in out


def test_a_card_takes_all_layers_some_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with_gpus(monkeypatch, 24 * GB)
    assert verdict(tmp_path) == "all on the graphics card"
    with_gpus(monkeypatch, 3 * GB, 3 * GB)
    assert "layers on the graphics card" in verdict(tmp_path) or verdict(tmp_path).startswith("all")
    with_gpus(monkeypatch)
    assert verdict(tmp_path) in ("fits, on the CPU", "does not fit")


def test_what_no_memory_holds_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Little:
        available = GB

    monkeypatch.setattr(doctor_plan.psutil, "virtual_memory", Little)
    with_gpus(monkeypatch)
    assert verdict(tmp_path) == "does not fit"
