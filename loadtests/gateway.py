"""What the gateway costs a request, and what it costs there to read the uid from the body.

    python -m loadtests.gateway [--rounds 5] [--seconds 3] [--json]

wrk asks an nginx that answers at once: directly, and through `deploy/nginx` in front of it. `plain` is a
path whose uid is not looked for; then the uid is in a header, or in a JSON body of so many bytes. All
ways take turns; the figures are medians over the rounds: the median request with one connection and the
gateway's processor time for a request, both in microseconds, and requests a second with 32
connections. wrk, gateway and upstream share the cores; what else runs there spoils all but
the processor time.

Needs `wrk` and nginx with Lua (`deploy/test-services`).
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table
from tests.e2e.desk_process import free_port, wait_until
from tests.nginx import NGINX, Gateway, started_nginx

from kefu.bench.machine import describe_machine

UPSTREAM = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; return 200 "{{}}"; }}
}}
"""
SCRIPT = """
wrk.method = {method}
wrk.body = {body}
wrk.headers = {{ ["Content-Type"] = "application/json", ["Idempotency-Key"] = "k", {header} }}
"""
IN_MICROSECONDS = {"us": 1, "ms": 1_000, "s": 1_000_000}


@dataclass(frozen=True)
class Way:
    """How a request is sent."""

    port: int
    path: str
    script: Path


@dataclass(frozen=True)
class Run:
    median_us: float
    per_second: float
    requests: int


def wrk(way: Way, connections: int, seconds: int) -> Run:
    url = f"http://127.0.0.1:{way.port}{way.path}"
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        way.script,
        url,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    requests = re.search(r"(\d+) requests in", said)
    if not median or not rate or not requests or "Non-2xx" in said:
        raise RuntimeError(f"wrk said something else:\n{said}")
    latency_us = float(median[1]) * IN_MICROSECONDS[median[2]]
    return Run(latency_us, float(rate[1]), int(requests[1]))


def processor_us(gateway: Gateway) -> float:
    """What its workers have used so far, in microseconds."""
    assert gateway.process
    workers = psutil.Process(gateway.process.pid).children()
    return sum(sum(worker.cpu_times()[:2]) for worker in workers) * 1e6


@contextmanager
def upstream() -> Iterator[int]:
    """The port of an nginx that answers everything at once."""
    with tempfile.TemporaryDirectory(prefix="kefu-upstream-") as folder:
        port = free_port()
        path = Path(folder) / "nginx.conf"
        path.write_text(UPSTREAM.format(folder=folder, port=port), "utf-8")
        process = subprocess.Popen([NGINX, "-p", folder, "-c", path])
        try:
            url = f"http://127.0.0.1:{port}/"
            wait_until(lambda: _answers(url), "the upstream answers")
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def ways(folder: Path, direct: int, gateway: int) -> dict[str, Way]:
    def script(name: str, size: int, header: str = "") -> Path:
        body = json.dumps({"uid": "customer-7", "message": "x" * (size - 40)}) if size else ""
        method = '"POST"' if size else '"GET"'
        path = folder / f"{name}.lua"
        path.write_text(SCRIPT.format(method=method, body=f"[[{body}]]", header=header), "utf-8")
        return path

    short, long = script("short", 200), script("long", 60_000)
    header = script("header", 200, '["X-Uid"] = "customer-7"')
    return {
        "direct, 200 bytes": Way(direct, "/chat", short),
        "gateway, plain, 200 bytes": Way(gateway, "/api/knowledge/golden", short),
        "gateway, uid in a header, 200 bytes": Way(gateway, "/chat", header),
        "gateway, uid in the body, 200 bytes": Way(gateway, "/chat", short),
        "direct, 60,000 bytes": Way(direct, "/chat", long),
        "gateway, plain, 60,000 bytes": Way(gateway, "/api/knowledge/golden", long),
        "gateway, uid in the body, 60,000 bytes": Way(gateway, "/chat", long),
    }


def measure(rounds: int, seconds: int) -> dict[str, dict[str, float]]:
    with (
        upstream() as direct,
        started_nginx([direct], "access_log off;\n") as gateway,
        tempfile.TemporaryDirectory() as folder,
    ):
        taken = ways(Path(folder), direct, gateway.port)
        alone: Mapping[str, list[float]] = {name: [] for name in taken}
        cost: Mapping[str, list[float]] = {name: [] for name in taken}
        rate: Mapping[str, list[float]] = {name: [] for name in taken}
        for _ in range(rounds):
            for name, way in taken.items():
                alone[name].append(wrk(way, 1, seconds).median_us)
                before = processor_us(gateway)
                run = wrk(way, 32, seconds)
                cost[name].append((processor_us(gateway) - before) / run.requests)
                rate[name].append(run.per_second)
    return {
        name: {
            "median_us": statistics.median(alone[name]),
            "processor_us": round(statistics.median(cost[name]), 1),
            "per_second": round(statistics.median(rate[name])),
        }
        for name in taken
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    figures = measure(asked.rounds, asked.seconds)
    if asked.json:
        json.dump({"machine": describe_machine(), "ways": figures}, sys.stdout, indent=2)
        return
    table = Table("way", "median µs", "processor µs", "requests/s")
    for name, row in figures.items():
        table.add_row(
            name, f"{row['median_us']:.0f}", f"{row['processor_us']}", f"{row['per_second']}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
