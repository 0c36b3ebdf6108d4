"""llama.cpp's own HTTP server on a known port: `python -m loadtests.cluster.llama_server MODEL PORT`.

A server as somebody else would run it, beside the desks. kefu's own child takes any free port and
a key, and ends with the thread that started it, which here is none that lasts.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

# As in kefu's child: with more, threads of two servers on two cores wait for each other by spinning.
OPENMP_SPINS = "1000"
CHATS_AT_ONCE = 4
CONTEXT_TOKENS_PER_CHAT = 3072
BATCH_TOKENS = 64
# Below the desks, which must answer what needs no writing.
NICENESS = 10


def main() -> None:
    threading.Thread(target=_exit_at_end_of_stdin, daemon=True).start()
    os.nice(NICENESS)
    model, port = sys.argv[1], int(sys.argv[2])
    os.environ.setdefault("GOMP_SPINCOUNT", OPENMP_SPINS)  # read when the library is loaded
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = CHATS_AT_ONCE
    params.n_ctx = CHATS_AT_ONCE * CONTEXT_TOKENS_PER_CHAT
    params.kv_unified = False
    params.ctx_shift = False
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = 1
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cache_ram_mib = 64
    params.swa_full = True
    params.ui = False
    server = xllamacpp.Server(params)
    # Niceness counts within a session only, and this leads one (sched(7), "The autogroup feature").
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS), "ascii")
    print(server.listening_address, flush=True)
    threading.Event().wait()


def _exit_at_end_of_stdin() -> NoReturn:
    """Whoever started it is gone."""
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
