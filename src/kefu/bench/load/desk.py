"""A desk with the sample shop, started for one test and removed after it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from kefu.bench.load.running import LoadFailed
from kefu.settings import Settings

READY_SECONDS = 120.0
_STOP_SECONDS = 30.0
# A desk looks for changes by other processes every second.
_SEEN_SECONDS = 30.0
_ENTRIES = re.compile(r"^kefu_knowledge_entries (\S+)$", re.MULTILINE)


@contextmanager
def started_desk(settings: Settings, document: str = "") -> Iterator[str]:
    """Its address. It has the models of `settings`, defaults for the rest, and what environment
    variables (KEFU_*) change; `document`, in Markdown, is imported. Raises `LoadFailed` where it
    does not get ready."""
    with TemporaryDirectory(prefix="kefu-bench-desk-") as folder:
        data_dir = Path(folder)
        if settings.models_dir.is_dir():
            (data_dir / "models").symlink_to(
                settings.models_dir.absolute(), target_is_directory=True
            )
        port, log = free_port(), data_dir / "desk.log"
        command = [sys.executable, "-m", "kefu", "--data-dir", folder, "serve", "--demo"]
        model, upstreams = _generator(settings)
        with log.open("wb") as errors:
            desk = subprocess.Popen(
                [*command, "--port", str(port), *model],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "KEFU_LOG__LEVEL": "warning", **upstreams},
            )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_ready(desk, url, log)
            if document:
                _import(document, data_dir, url)
            yield url
        finally:
            desk.terminate()
            try:
                desk.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                desk.kill()
                desk.wait()


def _generator(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Flags and environment of a desk with the generator of `settings`."""
    if not settings.generator.upstreams:
        return ["--generator", settings.generator.model], {}
    upstreams = [upstream.model_dump() for upstream in settings.generator.upstreams]
    return [], {"KEFU_GENERATOR__UPSTREAMS": json.dumps(upstreams)}


def _import(document: str, data_dir: Path, url: str) -> None:
    """As an operator does beside a running desk. Raises `LoadFailed`."""
    before = _entries(url)
    path = data_dir / "document.md"
    path.write_text(document, "utf-8")
    command = [sys.executable, "-m", "kefu", "--data-dir", str(data_dir), "kb", "import", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailed(f"The document was not imported: {done.stderr.strip()}")
    end = time.monotonic() + _SEEN_SECONDS
    while _entries(url) == before:
        if time.monotonic() > end:
            raise LoadFailed(f"The desk did not see the document within {_SEEN_SECONDS:g} s.")
        time.sleep(0.1)


def _entries(url: str) -> str:
    found = _ENTRIES.search(httpx.get(f"{url}/metrics", timeout=5).text)
    return found[1] if found else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(desk: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until `/readyz` says so. Raises `LoadFailed` with the last line of `log`."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if desk.poll() is not None:
            said = log.read_text("utf-8", "replace").strip().splitlines()
            raise LoadFailed(f"The desk stopped: {said[-1] if said else desk.returncode}")
        try:
            if httpx.get(f"{url}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
    raise LoadFailed(f"The desk was not ready within {READY_SECONDS:g} s.")
