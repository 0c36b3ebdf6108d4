"""The child program that runs llama.cpp's own HTTP server: `python -m ...llama_child`.

The parent writes one JSON line (`ChildConfig`) to standard input and keeps that pipe open; the
child loads the model and writes one JSON line, `{"address": "http://127.0.0.1:PORT"}`, to
standard output. Everything else, llama.cpp's log above all, goes to standard error.

The child never outlives its parent. Where the parent ends the pipe closes, and a thread that
reads it ends the process; that works on every system and for every kind of death. On Linux the
kernel is asked as well, because the thread needs the interpreter, which a native hang may hold.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

PR_SET_PDEATHSIG = 1

# Prompts of earlier chats, kept in memory beside the slots. llama.cpp's default is 8 GiB.
PROMPT_CACHE_MIB = 256
# Tokens read between two looks at the outside world. With llama.cpp's 2048 a running answer
# pauses 2.7 s while another chat's prompt is read, and a customer who left is noticed as late.
# 64 tokens to a thread are a third of a second (375 tokens/s on 2 cores), and reading is no
# slower for it; with half of that it would be, by a tenth. A GPU reads 512 in no time.
BATCH_TOKENS_PER_THREAD = 64
MOST_BATCH_TOKENS = 512

# llama.cpp's threads meet a few hundred times a token. GNU OpenMP spins 300,000 times for the
# last one, and where anything else wants a core, it spins exactly where that thread would run:
# 0.9 tokens/s instead of 79 beside one busy process on 2 cores. With this bound it is 19, and on
# an idle machine still 79; sleeping at once (OMP_WAIT_POLICY=passive) gives 25 and 36.
OPENMP_SPINS = "1000"


@dataclass(frozen=True)
class ChildConfig:
    """What the parent decides. The key is random: other users of the machine see the port."""

    model_path: str
    api_key: str
    parent_pid: int
    n_parallel: int
    chat_context_tokens: int
    threads: int
    gpu_layers: int
    niceness: int
    slot_similarity: float
    adapter_path: str = ""

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    report = _claim_stdout()
    config = ChildConfig(**json.loads(sys.stdin.buffer.readline()))
    _die_with_parent(config.parent_pid)
    _step_back(config.niceness)
    server = _serve(config)
    _step_back_as_session(config.niceness)
    # Ctrl-C reaches every process of the terminal; the parent stops us in order. llama.cpp sets
    # its own handler while it loads, so this comes after.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    report.write(json.dumps({"address": server.listening_address}) + "\n")
    report.close()
    threading.Event().wait()


def _claim_stdout() -> IO[str]:
    """Keep standard output for the one line of the protocol; C++ code prints where it likes."""
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return report


def _die_with_parent(parent_pid: int) -> None:
    threading.Thread(target=_exit_at_end_of_stdin, name="parent-watch", daemon=True).start()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before the line above
            os._exit(1)


def _exit_at_end_of_stdin() -> NoReturn:
    """`os._exit`: unloading in order takes time and can hang, and nothing here needs saving."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def _step_back(niceness: int) -> None:
    """Below the desk's priority, before llama.cpp starts the threads that inherit it.

    Linux counts niceness by the thread, so the watch on the parent keeps the desk's.
    """
    if sys.platform == "win32":
        import psutil  # noqa: PLC0415 - 20 ms of start for nothing elsewhere

        if niceness:
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(niceness)


def _step_back_as_session(niceness: int) -> None:
    """Linux shares the cores between sessions first, and only within one by niceness (sched(7), "The
    autogroup feature"): the session that this process leads has a niceness of its own.

    Not before the model is loaded: beside a busy desk that would take several times as long.
    """
    with suppress(OSError):  # another system, or a kernel without it
        Path("/proc/self/autogroup").write_text(str(niceness), "ascii")


def _serve(config: ChildConfig) -> Any:
    """Load the model and listen. Exits with 1 where that fails: llama.cpp has logged why."""
    os.environ.setdefault("GOMP_SPINCOUNT", OPENMP_SPINS)  # read when the library is loaded
    import xllamacpp  # noqa: PLC0415 - after that, nice, and the watch on the parent

    params = xllamacpp.CommonParams()
    params.model.path = config.model_path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [config.api_key]
    params.n_parallel = config.n_parallel
    params.n_ctx = config.n_parallel * config.chat_context_tokens
    params.kv_unified = False  # each chat keeps its own context, however long the others are
    params.ctx_shift = False  # forgetting the rules of the prompt is worse than stopping
    params.n_gpu_layers = config.gpu_layers
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = config.threads
    params.n_batch = params.n_ubatch = _batch_tokens(config, _has_gpu(xllamacpp))
    params.cache_prompt = True
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.slot_prompt_similarity = config.slot_similarity
    # Models with a sliding window (Gemma) otherwise drop the beginning that chats share and
    # read the whole prompt at every turn: 650 ms instead of 70 ms for 263 tokens.
    params.swa_full = True
    if config.adapter_path:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = config.adapter_path, 1.0
        params.lora_adapters = [adapter]
    params.enable_reasoning = 0  # nobody waits at a counter while the clerk thinks aloud
    params.warmup = True
    params.endpoint_metrics = True
    params.ui = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        sys.stderr.write(f"llama.cpp could not start: {error}\n")
        sys.stderr.flush()
        os._exit(1)  # threads of a failed start may still run


def _batch_tokens(config: ChildConfig, has_gpu: bool) -> int:
    wanted = MOST_BATCH_TOKENS if has_gpu else BATCH_TOKENS_PER_THREAD * config.threads
    return max(config.n_parallel, min(wanted, MOST_BATCH_TOKENS))


def _has_gpu(xllamacpp: Any) -> bool:
    kinds = xllamacpp.ggml_backend_dev_type
    gpus = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    return any(device["type"] in gpus for device in xllamacpp.get_device_info())


if __name__ == "__main__":
    main()
