"""A real Triton server: the one in NVIDIA's pytriton wheel, which brings the Python backend alone.

It needs no container and no graphics card. Its Python is Debian's: the backend is linked to
`libpython3.11.so`, which a Python built by pyenv does not have.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from kefu.settings import default_data_dir
from tests.e2e.desk_process import free_port, wait_until

PYTHON = Path("/usr/bin/python3")
PACKAGES = (
    "nvidia-pytriton==0.7.0",  # Triton 2.51
    "numpy==1.26.4",  # the strings of numpy 2 crash the Python backend before Triton 2.52
    # As the desk's own, so that its vectors are the desk's.
    *(f"{name}=={version(name)}" for name in ("onnxruntime", "onnxruntime-extensions")),
)
READY_SECONDS = 60.0


class TritonServer:
    """One server on one model repository, on the same ports after every start."""

    def __init__(self, environment: Path, repository: Path, log: Path, *options: str) -> None:
        self._environment = environment
        self._log = log
        self._region = f"kefu_test_{os.getpid()}_{id(self)}_"
        self._http, self._grpc = free_port(), free_port()
        self._options = (f"--model-repository={repository}", *options)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self._grpc if scheme == 'grpc' else self._http}"

    def start(self) -> None:
        installed = _installed(self._environment)
        paths = {
            "PATH": f"{self._environment}/bin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(installed / "nvidia_pytriton.libs"),
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [installed / "pytriton/tritonserver/bin/tritonserver", *self._arguments(installed)],
                env={**os.environ, **paths},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, f"Triton is ready; its log is {self._log}", READY_SECONDS)

    def kill(self) -> None:
        """As when its machine fails: with all its processes, without a word."""
        if self._process is None:
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        self._process.wait()
        self._process = None
        for region in Path("/dev/shm").glob(f"{self._region}*"):  # which a killed one leaves
            region.unlink(missing_ok=True)

    def send(self, sign: int) -> None:
        assert self._process
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, sign)

    def _arguments(self, installed: Path) -> Sequence[str]:
        folder = installed / "pytriton/tritonserver"
        return (
            f"--backend-directory={folder / 'backends'}",
            f"--backend-config=python,shm-region-prefix-name={self._region}",
            "--http-address=127.0.0.1",
            "--grpc-address=127.0.0.1",
            f"--http-port={self._http}",
            f"--grpc-port={self._grpc}",
            "--allow-metrics=false",
            *self._options,
        )

    def _is_ready(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise RuntimeError(f"Triton ended:\n{self._log.read_text('utf-8', 'replace')}")
        with suppress(httpx.TransportError):
            return httpx.get(self.url("http") + "/v2/health/ready", trust_env=False).is_success
        return False


@contextmanager
def started_triton(repository: Path, folder: Path, *options: str) -> Iterator[TritonServer]:
    """A server that is ready. Its log is written in `folder`."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("There is no wheel of Triton for this system.")
    server = TritonServer(triton_environment(), repository, folder / "triton.log", *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def triton_environment() -> Path:
    """A virtual environment with Triton, installed once (280 MB, beside the tests' models).

    Raises `RuntimeError` saying what this machine lacks.
    """
    root = os.environ.get("KEFU_TEST_DATA_DIR")
    data_dir = Path(root) if root else default_data_dir()
    folder = data_dir / f"test-triton-{sha256(repr(PACKAGES).encode()).hexdigest()[:12]}"
    data_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    made = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    _run(PYTHON, "-m", "venv", "--without-pip", made)
    pip = (sys.executable, "-m", "pip", "--python", made / "bin/python3", "install", "--quiet")
    # Without what pytriton itself needs: of its wheel only the server is used.
    _run(*pip, "--no-deps", "--no-compile", "--only-binary=:all:", *PACKAGES)
    site = _installed(made)
    server = site / "pytriton/tritonserver"
    stub = server / "python_backend_stubs" / site.parent.name.removeprefix("python")
    shutil.copy(stub / "triton_python_backend_stub", server / "backends/python")
    _require_libraries(server / "backends/python/triton_python_backend_stub")
    made.rename(folder)


def _installed(environment: Path) -> Path:
    """Where its packages are."""
    (found,) = environment.glob("lib/python3.*/site-packages")
    return found


def _require_libraries(stub: Path) -> None:
    missing = [line.split()[0] for line in _run("ldd", stub).splitlines() if "not found" in line]
    needed = [name for name in missing if name.startswith("libpython")]
    if needed:
        raise RuntimeError(f"Triton needs {needed}: run deploy/test-services, as root.")


def _run(*command: str | Path) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{command} failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout
