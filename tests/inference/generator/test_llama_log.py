import pytest
from structlog.testing import capture_logs

from kefu.inference.generator.llama_log import TAIL_LINES, LlamaLog


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b"0.03.101.814 I srv          init: model loaded\n", "debug"),
        (b"0.00.003.989 E llama_model_load: error loading model: bad magic\n", "error"),
        (b"0.06.008.142 W srv    operator(): unauthorized: Invalid API Key\n", "warning"),
        (b"0.25.221.232 W srv          stop: cancel task, id_task = 1017\n", "debug"),
        (b"0.09.114.020 W srv    update: making room for prompt cache, 512 MiB\n", "debug"),
        (b"0.02.310.772 W load: tensor 'a' (q8_0) cannot use buft CPU_REPACK\n", "debug"),
        (b"something C++ printed \xff\n", "debug"),
    ],
)
def test_levels(line, level):
    with capture_logs() as logs:
        LlamaLog().take(line)
    assert [entry["log_level"] for entry in logs] == [level]


def test_a_line_without_a_prefix_has_the_level_of_the_one_before():
    log = LlamaLog()
    with capture_logs() as logs:
        log.take(b"0.00.003.989 E ggml: first\n")
        log.take(b"\n")
        log.take(b"  second\n")
    assert [entry["log_level"] for entry in logs] == ["error", "error"]


def test_the_last_errors_are_remembered():
    log = LlamaLog()
    for number in range(2 * TAIL_LINES):
        log.take(f"0.00.000.001 I chatter {number}\n".encode())
    assert log.last_errors(2) == [f"chatter {2 * TAIL_LINES - 2}", f"chatter {2 * TAIL_LINES - 1}"]
    log.take(b"0.00.000.002 E load: error one\n")
    log.take(b"0.00.000.003 I chatter\n")
    assert log.last_errors() == ["load: error one"]
    assert log.says("error one")
    assert not log.says("out of memory")
