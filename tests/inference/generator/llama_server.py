"""llama.cpp's own server as somebody else runs it: a process with a port that it keeps."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from kefu.settings import UpstreamSettings

_PROGRAM = """
import os, sys, threading
import xllamacpp

model, port, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params = xllamacpp.CommonParams()
params.model.path = model
params.hostnames = ["127.0.0.1"]
params.port = port
params.n_parallel = slots
params.n_ctx = slots * 4096
params.kv_unified = False
params.ctx_shift = False
params.swa_full = True
for cpu in (params.cpuparams, params.cpuparams_batch):
    cpu.n_threads = 1
params.n_batch = params.n_ubatch = 64
params.enable_reasoning = 0
params.ui = False
server = xllamacpp.Server(params)
while os.read(0, 4096):  # it ends with the tests
    pass
os._exit(0)
"""
START_SECONDS = 60.0


class LlamaServer:
    """Started, killed, started again at the same address."""

    def __init__(self, model: Path, port: int, slots: int = 2) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._arguments = [str(model), str(port), str(slots)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def upstream(self) -> UpstreamSettings:
        return UpstreamSettings(url=self.url, model="test")

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def launch(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "GOMP_SPINCOUNT": "1000"},
            start_new_session=True,
        )

    def is_ready(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "llama.cpp could not start"
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=5).is_success
        except httpx.HTTPError:
            return False

    async def start(self) -> LlamaServer:
        self.launch()
        async with asyncio.timeout(START_SECONDS):
            while not await asyncio.to_thread(self.is_ready):
                await asyncio.sleep(0.02)
        return self

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and gone when this returns."""
        if self._process:
            self.signal(signal.SIGKILL)
            self._process.wait()
            assert self._process.stdin
            self._process.stdin.close()
            self._process = None
