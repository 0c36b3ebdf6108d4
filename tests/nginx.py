"""The real nginx with the configuration of `deploy/nginx`."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.e2e.desk_process import free_port, wait_until

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "nginx"
# Debian's, which is not on every user's path.
NGINX = Path("/usr/sbin/nginx")
STOP_SECONDS = 20.0


@dataclass
class Gateway:
    """A running nginx. `started_nginx` starts and ends it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "error.log").read_text("utf-8", "replace")

    @property
    def access_log(self) -> str:
        return (self.folder / "run" / "access.log").read_text("utf-8", "replace")

    def client(self, **options: Any) -> httpx.Client:
        settled = {"base_url": self.origin, "timeout": 30, "trust_env": False, **options}
        return httpx.Client(**settled)

    def write_desks(self, desks: Sequence[int], fail_timeout_seconds: int = 1) -> None:
        """`desks.conf` with the ports of desks here."""
        lines = (
            f"server 127.0.0.1:{port} weight=4 max_fails=1 fail_timeout={fail_timeout_seconds}s;\n"
            for port in desks
        )
        (self.folder / "desks.conf").write_text("".join(lines))

    def reload(self) -> None:
        """As `nginx -s reload`, and until no worker of before is left."""
        assert self.process
        before = self._workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not before & self._workers(), "workers of the new configuration")

    def _workers(self) -> set[int]:
        assert self.process
        return {child.pid for child in psutil.Process(self.process.pid).children()}


def ask_by_hand(port: int, text: bytes) -> socket.socket:
    """A connection on which `text` was sent: for what an HTTP client would not do."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(text)
    return connection


@contextmanager
def started_nginx(desks: Sequence[int], listen: str = "", **options: Any) -> Iterator[Gateway]:
    """nginx before the desks with these ports. `listen` is added to `listen.conf`, `options` are
    those of `Gateway.write_desks`."""
    # Not pytest's folder, which workers that are not root may not enter.
    with tempfile.TemporaryDirectory(prefix="kefu-nginx-") as name:
        folder = Path(name) / "nginx"
        shutil.copytree(CONFIGURATION, folder)
        folder.parent.chmod(0o755)
        gateway = Gateway(folder, free_port())
        gateway.write_desks(desks, **options)
        listening = (folder / "listen.conf").read_text("utf-8")
        listening = listening.replace("listen 8080;", f"listen 127.0.0.1:{gateway.port};")
        listening = listening.replace("/dev/stdout", "run/access.log")
        (folder / "listen.conf").write_text(listening + listen, "utf-8")
        with (folder / "error.log").open("wb") as log:
            gateway.process = subprocess.Popen(
                [NGINX, "-p", f"{folder}/", "-c", "nginx.conf"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            wait_until(lambda: _is_up(gateway), f"nginx is up; its log:\n{gateway.log}")
            yield gateway
        finally:
            _end(gateway.process)


def _is_up(gateway: Gateway) -> bool:
    assert gateway.process
    if gateway.process.poll() is not None:
        raise RuntimeError(f"nginx ended with {gateway.process.returncode}:\n{gateway.log}")
    with suppress(httpx.TransportError), gateway.client() as client:
        return client.get("/livez").status_code == 200
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """The master and its workers; a worker whose master is killed would stay."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.kill()
