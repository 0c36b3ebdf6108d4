"""What the doctor makes of machines that are not this one."""

import socket
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from kefu.doctor import installation, machine
from kefu.doctor.builds import advice_for
from kefu.doctor.cards import NvidiaCard
from kefu.inference.generator.devices import Device
from kefu.limits import Limits
from kefu.settings import GeneratorSettings, ServerSettings, Settings

GIB = 1024**3
CARD = NvidiaCard("NVIDIA GeForce RTX 4090", "570.86", (12, 8), (8, 9), 24 * GIB, 23 * GIB)


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data")


def test_memory_that_is_allowed_counts_not_what_the_machine_has(settings, monkeypatch):
    monkeypatch.setattr(machine, "find_limits", lambda: Limits(GIB, GIB // 2, None))
    state, said = machine.memory(settings)
    assert state == "warning"
    assert "0.5 of the 1.0 GiB allowed here" in said


def test_more_threads_than_processor_time_is_a_fault_with_a_cure(settings, monkeypatch):
    monkeypatch.setattr(machine, "find_limits", lambda: Limits(None, None, 1.5))
    many = settings.model_copy(update={"generator": GeneratorSettings(threads=8)})
    state, said = machine.container(many)
    assert state == "warning"
    assert "generator.threads to 1" in said
    assert (
        machine.container(settings.model_copy(update={"generator": GeneratorSettings(threads=1)}))[
            0
        ]
        == "ok"
    )


def test_a_processor_that_llama_cannot_run_on(settings, monkeypatch):
    monkeypatch.setattr(
        machine, "cpuinfo", lambda: {"model name": "Xeon E5-2600", "flags": "sse4_2 avx"}
    )
    state, said = machine.processor(settings)
    assert state == "error"
    assert "avx2, fma, f16c, bmi2" in said
    known = "avx2 fma f16c bmi2 avx512f avx512_vnni"
    monkeypatch.setattr(machine, "cpuinfo", lambda: {"model name": "Xeon", "flags": known})
    state, said = machine.processor(settings)
    assert state == "ok"
    assert "leaves avx512f, avx512_vnni unused" in said
    monkeypatch.setattr(
        machine, "cpuinfo", dict
    )  # no such file: nothing is known, nothing is wrong
    assert machine.processor(settings)[0] == "ok"


def test_a_clock_before_kefu_was_made(settings, monkeypatch):
    assert machine.clock(settings)[0] == "ok"
    monkeypatch.setattr(machine.time, "time", lambda: 0.0)
    state, said = machine.clock(settings)
    assert state == "error"
    assert said.startswith("1970-01-01")


def test_a_port_that_is_taken(settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        busy = settings.model_copy(update={"server": ServerSettings(port=number)})
        state, said = machine.port(busy)
    assert state == "warning"
    assert "another --port" in said
    assert machine.port(busy)[0] == "ok"


def test_a_folder_that_others_can_read():
    # Not pytest's: its folders are closed to others, and so is everything below them.
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        settings = Settings(data_dir=Path(place) / "data")
        settings.data_dir.mkdir(mode=0o755)
        settings.database_at.write_bytes(b"")
        settings.database_at.chmod(0o644)
        state, said = machine.folder(settings)
        assert state == "warning"
        assert f"chmod 700 {settings.data_dir}" in said
        settings.data_dir.chmod(0o700)
        assert machine.folder(settings)[0] == "ok"


def test_a_folder_that_cannot_be_written(settings, monkeypatch):
    assert machine.folder(settings)[0] == "ok"
    monkeypatch.setattr(machine.os, "access", lambda *_: False)  # root may write everywhere
    state, said = machine.folder(settings)
    assert state == "error"
    assert "--data-dir" in said


def test_a_card_that_is_not_used_comes_with_the_command_that_uses_it(settings, monkeypatch):
    monkeypatch.setattr(machine, "find_devices", list)
    monkeypatch.setattr(machine, "find_cards", lambda: [CARD])
    state, said = machine.graphics(settings)
    assert state == "warning"
    assert advice_for(CARD).command in said
    monkeypatch.setattr(
        machine, "find_devices", lambda: [Device("CUDA0", CARD.name, "GPU", 23 * GIB, 24 * GIB)]
    )
    assert machine.graphics(settings) == (
        "ok",
        "NVIDIA GeForce RTX 4090 (CUDA0), 23.0 of 24.0 GiB free",
    )


class Models(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    """Of a server that writes, as far as it is asked here."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_upstreams_are_asked_whether_they_answer(tmp_path, address):
    def found(*urls):
        generator = GeneratorSettings(upstreams=[{"url": url} for url in urls])
        return installation.generator(Settings(data_dir=tmp_path, generator=generator))

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        away = f"http://127.0.0.1:{closed.getsockname()[1]}"
        state, said = found(address)
        assert (state, "answers" in said) == ("ok", True)
        state, said = found(address, away)
        assert state == "warning"
        assert "answers" in said
        assert f"{away.removeprefix('http://')}: No answer" in said
        assert found(away)[0] == "error"
