"""A Triton server that is wrong, hangs, dies and comes back; how it puts requests together."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from kefu.errors import EncoderUnavailable, ModelError, ModelMissing, SettingsError
from kefu.inference.encoder.opening import open_encoder, open_triton
from kefu.inference.encoder.triton.encoder import TritonEncoder, open_endpoint
from kefu.settings import Settings, load_settings
from tests.e2e.desk_process import free_port, wait_until
from tests.inference.encoder.relay import relayed
from tests.triton import TritonServer, started_triton

pytestmark = pytest.mark.models

OTHER = "use-multilingual-v3-0123456789abcdef-512"
NO_ENCODER = """\
class TritonPythonModel:
    def execute(self, requests):
        return []
"""
NO_ENCODER_CONFIG = """\
name: "echo"
backend: "python"
input [ { name: "text" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "other" data_type: TYPE_FP32 dims: [ 2 ] } ]
"""

Open = Callable[..., TritonEncoder]


@pytest.fixture(scope="module")
def mortal(
    triton_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A server to be killed, with two more models: one whose file is not the one that its name
    promises, and one that is no encoder."""
    repository = tmp_path_factory.mktemp("mortal") / "repository"
    shutil.copytree(triton_repository, repository)
    (encoder,) = repository.iterdir()
    config = (encoder / "config.pbtxt").read_text("utf-8")
    shutil.copytree(encoder, repository / OTHER)
    (repository / OTHER / "config.pbtxt").write_text(config.replace(encoder.name, OTHER), "utf-8")
    echo = repository / "echo"
    (echo / "1").mkdir(parents=True)
    (echo / "1" / "model.py").write_text(NO_ENCODER, "utf-8")
    (echo / "config.pbtxt").write_text(NO_ENCODER_CONFIG, "utf-8")
    options = ("--exit-on-error=false", "--strict-readiness=false")
    with started_triton(repository, repository.parent, *options) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def open_at(models_dir: Path) -> Iterator[Open]:
    """`open_at(url, seconds=...)`: the encoder there, closed at the end."""
    with ExitStack() as stack:

        def opened(url: str, seconds: float = 30) -> TritonEncoder:
            encoder = open_triton(settings_of(models_dir.parent, url, seconds))
            stack.callback(encoder.close)
            return encoder

        yield opened


def settings_of(data_dir: Path, url: str, seconds: float = 30) -> Settings:
    chosen = {"url": url, "request_seconds": seconds}
    return load_settings({"data_dir": data_dir, "encoder": chosen})


def answers(encoder: TritonEncoder) -> bool:
    with suppress(EncoderUnavailable):
        return encoder.encode(["怎么退货"]).shape == (1, 512)
    return False


def test_a_server_that_dies_is_said_and_used_again_when_it_is_back(
    mortal: TritonServer, scheme: str, open_at: Open
) -> None:
    encoder = open_at(mortal.url(scheme))
    before = encoder.encode(["怎么退货"])
    mortal.kill()
    try:
        for _ in range(2):
            with pytest.raises(EncoderUnavailable, match=r"127\.0\.0\.1:\d+ is not there"):
                encoder.encode(["怎么退货"])
    finally:
        mortal.start()
    wait_until(lambda: answers(encoder), "the encoder answers again")
    np.testing.assert_array_equal(encoder.encode(["怎么退货"]), before)


def test_a_message_whose_connection_breaks_goes_over_another_one(
    triton: TritonServer, scheme: str, open_at: Open
) -> None:
    with relayed(urlsplit(triton.url(scheme)).port) as relay:
        encoder = open_at(f"{scheme}://127.0.0.1:{relay.port}")
        before = encoder.encode(["怎么退货"])
        relay.hang_up_next()
        np.testing.assert_array_equal(encoder.encode(["怎么退货"]), before)
    assert relay.hung_up == 1


def test_a_server_that_hangs_is_not_waited_for(
    mortal: TritonServer, scheme: str, open_at: Open
) -> None:
    encoder = open_at(mortal.url(scheme), seconds=0.5)
    mortal.send(signal.SIGSTOP)
    try:
        with pytest.raises(EncoderUnavailable, match=r"did not answer within 0\.5 s"):
            encoder.encode(["怎么退货"])
    finally:
        mortal.send(signal.SIGCONT)
    wait_until(lambda: answers(encoder), "the encoder answers again")


def test_where_no_server_is_that_is_said(scheme: str, open_at: Open) -> None:
    port = free_port()
    with pytest.raises(EncoderUnavailable, match=f"127.0.0.1:{port} is not there"):
        open_at(f"{scheme}://127.0.0.1:{port}")


def test_a_server_without_the_model_is_refused(mortal: TritonServer, scheme: str) -> None:
    for name, said in (
        ("use-multilingual-v3-fedcba9876543210-512", "it has echo, use-multilingual-v3-"),
        (OTHER, f"state UNAVAILABLE: .*is not the file of the model {OTHER}"),
    ):
        with pytest.raises(ModelMissing, match=f"does not serve {name}.*{said}"):
            TritonEncoder(open_endpoint(mortal.url(scheme), 30), name, "onnx-any")


def test_a_model_that_is_no_encoder_is_refused(mortal: TritonServer, scheme: str) -> None:
    with pytest.raises(ModelError, match=r"echo .* is no sentence encoder of kefu"):
        TritonEncoder(open_endpoint(mortal.url(scheme), 30), "echo", "onnx-any")


def test_what_speaks_no_kserve_is_refused(
    mortal: TritonServer, triton: TritonServer, open_at: Open
) -> None:
    """The one protocol at the other's port."""
    with pytest.raises(EncoderUnavailable):
        open_at(mortal.url("grpc").replace("grpc:", "http:"), seconds=2)
    with pytest.raises(EncoderUnavailable):
        open_at(mortal.url("http").replace("http:", "grpc:"), seconds=2)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("triton:8000", "http://HOST:8000"),
        ("ftp://triton", "http://HOST:8000"),
        ("http://", "http://HOST:8000"),
        ("http://triton:many", "http://HOST:8000"),
        ("grpc://triton:8001/path", "no path"),
        ("grpc://user:secret@triton:8001", "no password"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str, said: str, models_dir: Path) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        open_encoder(settings_of(models_dir.parent, url))
    assert "secret" not in str(refused.value)


def test_without_the_client_for_grpc_that_is_said(
    monkeypatch: pytest.MonkeyPatch, models_dir: Path
) -> None:
    monkeypatch.delitem(sys.modules, "kefu.inference.encoder.triton.grpc", raising=False)
    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    with pytest.raises(SettingsError, match=r"pip install 'kefu\[triton\]'"):
        open_encoder(settings_of(models_dir.parent, "grpc://127.0.0.1:8001"))


def test_a_model_without_a_sum_cannot_be_told_from_another(tmp_path: Path) -> None:
    entry = '[[model]]\nname = "mine"\ntask = "encoder"\ntitle = "Mine"\n\n[[model.files]]\n'
    file = 'path = "m.onnx"\nsources = ["file:/nowhere/m.onnx"]\n'
    (tmp_path / "catalogue.toml").write_text(entry + file, "utf-8")
    chosen = {"model": "mine", "url": "http://127.0.0.1:8000"}
    with pytest.raises(SettingsError, match="no sha256 for mine"):
        open_encoder(load_settings({"data_dir": tmp_path, "encoder": chosen}))


def test_what_comes_at_the_same_time_goes_in_one_run(
    triton: TritonServer, scheme: str, open_at: Open
) -> None:
    encoder = open_at(triton.url(scheme))
    url = f"{triton.url('http')}/v2/models/{encoder.model}/stats"

    def counted() -> tuple[int, int]:
        (stats,) = httpx.get(url, trust_env=False).json()["model_stats"]
        return stats["inference_count"], stats["execution_count"]

    sentences, runs = counted()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: encoder.encode([f"第{number}个问题"]), range(200)))
    more_sentences, more_runs = counted()
    assert more_sentences - sentences == 200
    assert more_runs - runs < 150


def test_anybody_may_ask_it_in_plain_json(triton: TritonServer, open_at: Open) -> None:
    """Bytes that are no UTF-8 come from others only."""
    encoder = open_at(triton.url("http"))
    texts = ["怎么退货", "", "我想退货" * 1000]
    asked = {"name": "text", "datatype": "BYTES", "shape": [3, 1], "data": texts}
    url = f"{triton.url('http')}/v2/models/{encoder.model}/infer"
    (output,) = httpx.post(url, json={"inputs": [asked]}, trust_env=False).json()["outputs"]
    vectors = np.array(output["data"], np.float32).reshape(output["shape"])
    np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-6)
    assert encoder._endpoint.infer(encoder.model, [b"\xff\xfe"]).shape == (1, 512)
