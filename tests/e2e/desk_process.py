"""A `kefu serve` in a process of its own: started, asked, killed, started again."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

T = TypeVar("T")

# The command that users run, of the environment these tests run in.
KEFU = Path(sys.executable).with_name("kefu.exe" if sys.platform == "win32" else "kefu")
READY_SECONDS = 90.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
# How long the kernel may take to end the child of a desk that was killed.
ORPHAN_SECONDS = 5.0
MARK = "DESK_UNDER_TEST"

# llama.cpp's threads wait for each other by spinning. With as many of them as cores, on a machine
# that does something else as well, a 2-second answer took 40 seconds; with one it took 3.
BUSY_MACHINE = {"KEFU_GENERATOR__THREADS": "1"}
# The generator writes each time it is asked the same.
FORGETFUL = {"KEFU_ANSWERS__MAX_ENTRIES": "0"}
# It copies whatever it is shown to the end, where the taught one says only what answers.
UNTAUGHT = {"KEFU_GENERATOR__MODEL": "gemma-3-270m-kefu", "KEFU_REPLIES__READER": "false"}


def wait_until(condition: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """Wait until `condition()` is true and return what it returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"Not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kefu_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This machine's environment without its kefu settings, and with `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEFU_")}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", **(settings or {})}


def run_kefu(
    *arguments: str | Path, settings: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [KEFU, *map(str, arguments)],
        env=kefu_environment({"COLUMNS": "200", **(settings or {})}),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )


@dataclass
class Stream:
    """The events of one streamed turn. `events` grows while it is read."""

    response: httpx.Response
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        name = ""
        for line in self.response.iter_lines():
            head, _, value = line.partition(": ")
            if head == "event":
                name = value
            elif head == "data":
                self.events.append((name, json.loads(value)))
                yield self.events[-1]


@dataclass
class DeskProcess:
    """One data folder and the desk that serves it, on the same port after every start."""

    data_dir: Path
    arguments: Sequence[str] = ("--demo",)
    settings: Mapping[str, str] = field(default_factory=lambda: dict(BUSY_MACHINE))
    prefix: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.data_dir / "kefu.db"

    @property
    def log_path(self) -> Path:
        return self.data_dir / f"desk-{self.starts}.log"

    @property
    def log(self) -> str:
        """What this start wrote to standard error, the banner included."""
        return self.log_path.read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def key(self, role: str = "admin") -> str:
        """The key of the first start's banner."""
        texts = [path.read_text("utf-8") for path in sorted(self.data_dir.glob("desk-*.log"))]
        found = re.search(rf"kefu-{role}-[\w-]+", "".join(texts))
        assert found, "no banner showed a key"
        return found[0]

    def launch(self) -> None:
        """Start the process and do not wait."""
        self.starts += 1
        command = [*self.prefix, str(KEFU), "--data-dir", str(self.data_dir), "serve"]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *self.arguments],
                env=kefu_environment({**self.settings, MARK: self.mark}),
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> DeskProcess:
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        wait_until(self._is_ready, f"the desk is ready; its log:\n{self.log}", seconds)

    def require_alive(self) -> None:
        assert self.process
        if self.process.poll() is not None:
            raise RuntimeError(f"The desk ended with {self.process.returncode}:\n{self.log}")

    def _is_ready(self) -> bool:
        self.require_alive()
        with suppress(httpx.TransportError):
            return self.get("/readyz", timeout=5).status_code == 200
        return False

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """End it as its operator would (the whole foreground group); its exit code."""
        assert self.process
        with suppress(ProcessLookupError):
            os.killpg(self.pid, sign)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """kill -9 of the desk alone. Raises when its child outlives it."""
        assert self.process
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        wait_until(lambda: not self.processes(), "no orphan of a killed desk", ORPHAN_SECONDS)

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.process:
            self.process.wait(STOP_SECONDS)

    def processes(self) -> list[psutil.Process]:
        """Every living process that this desk's starts have left: found by a mark they inherit."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            is_living = process.status() != psutil.STATUS_ZOMBIE
            return is_living and process.environ().get(MARK) == self.mark
        except (psutil.Error, OSError):
            return False

    def llama(self) -> psutil.Process | None:
        """The child that runs llama.cpp, None while there is none."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if any("llama_child" in part for part in child.cmdline()):
                        return child
        return None

    def wait_llama(self, other_than: int | None = None, seconds: float = 30.0) -> psutil.Process:
        def another() -> psutil.Process | None:
            self.require_alive()
            child = self.llama()
            return child if child and child.pid != other_than else None

        return wait_until(another, "a llama.cpp child runs", seconds)

    # Asking.

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(
            **{"base_url": self.origin, "timeout": 120, "trust_env": False, **options}
        )

    def get(self, path: str, **options: Any) -> httpx.Response:
        with self.client(timeout=options.pop("timeout", 30)) as client:
            return client.get(path, **options)

    def post(self, message: str, uid: str = "ann", key: str | None = None, **body: Any) -> Any:
        """POST /chat; the response."""
        headers = {"Idempotency-Key": key} if key else {}
        with self.client() as client:
            sent = {"uid": uid, "message": message, **body}
            return client.post("/chat", json=sent, headers=headers)

    def ask(self, message: str, uid: str = "ann", key: str | None = None, **body: Any) -> Any:
        """POST /chat; the reply object."""
        response = self.post(message, uid, key, **body)
        assert response.status_code == 200, response.text
        return response.json()

    def stream(
        self, message: str, uid: str = "ann", key: str | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events of a streamed POST /chat. Closing the iterator closes the connection."""
        headers = {"Idempotency-Key": key} if key else {}
        sent = {"uid": uid, "message": message, "stream": True}
        with (
            self.client() as client,
            client.stream("POST", "/chat", json=sent, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise AssertionError(response.read().decode())
            yield from Stream(response)

    def metric(self, name: str, **labels: str) -> float:
        """The value of one sample of /metrics; 0 where it has not been counted yet."""
        text = self.get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def wait_metric(
        self, condition: Callable[[float], bool], name: str, seconds: float = 30.0, **labels: str
    ) -> None:
        wait_until(lambda: condition(self.metric(name, **labels)), f"{name} {labels}", seconds)

    def turns(self, uid: str) -> list[dict[str, Any]]:
        """The transcript as `kefu conversations show` prints it."""
        shown = run_kefu(
            "--data-dir", self.data_dir, "conversations", "show", uid, "--json", "--limit", "100000"
        )
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout)["turns"]
