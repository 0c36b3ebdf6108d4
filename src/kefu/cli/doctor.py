"""`kefu doctor`: is everything there that a desk needs, and what will this machine carry?"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import psutil
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kefu import __version__
from kefu.cli.context import settings_of
from kefu.cli.doctor_plan import plan_of, plan_table
from kefu.cli.output import print_json
from kefu.errors import KefuError
from kefu.inference.generator.devices import find_devices
from kefu.inference.models.resolve import RemoteServer, resolve_encoder, resolve_generator
from kefu.intent.loading import load
from kefu.intent.versions import Versions
from kefu.settings import Settings, usable_cpus
from kefu.stores.sqlite import open_database, sqlite_module

GIB = 1024**3
# Desk and embedded generator take under 1 GB; the rest is room for the system.
LEAST_MEMORY_BYTES = 2 * GIB
LEAST_DISK_BYTES = 1 * GIB

State = Literal["ok", "warning", "error"]
STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "error": "red"}


@dataclass(frozen=True)
class Finding:
    what: str
    state: State
    detail: str


def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Look at the machine and the installation. Exit code 1 if something would not work."""
    settings = settings_of(ctx)
    checks: dict[str, Callable[[Settings], tuple[State, str]]] = {
        "kefu": lambda _: ("ok", f"{__version__} on Python {platform.python_version()}"),
        "processor": _processor,
        "memory": _memory,
        "disk": _disk,
        "sqlite": _sqlite,
        "database": _database,
        "encoder": lambda s: ("ok", str(resolve_encoder(s).path)),
        "generator": _generator,
        "llama.cpp": _devices,
        "intents": _intents,
    }
    findings = [_look(what, check, settings) for what, check in checks.items()]
    plan = plan_of(settings)
    if as_json:
        fits = [Finding(f"model {row.model}", "ok", row.sentence) for row in plan]
        print_json([asdict(finding) for finding in [*findings, *fits]])
    else:
        _print(findings)
        Console().print(plan_table(plan, settings))
    if any(finding.state == "error" for finding in findings):
        sys.exit(1)


def _look(what: str, check: Callable[[Settings], tuple[State, str]], settings: Settings) -> Finding:
    try:
        return Finding(what, *check(settings))
    except KefuError as error:
        return Finding(what, "error", str(error))


def _processor(settings: Settings) -> tuple[State, str]:
    generator = settings.generator
    return "ok", (
        f"{usable_cpus()} CPUs usable; llama.cpp takes {generator.detected_threads} threads and "
        f"writes {generator.detected_parallel} answers at once"
    )


def _memory(_: Settings) -> tuple[State, str]:
    free = psutil.virtual_memory().available
    state: State = "ok" if free >= LEAST_MEMORY_BYTES else "warning"
    return state, f"{free / GIB:.1f} GiB available"


def _disk(settings: Settings) -> tuple[State, str]:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    state: State = "ok" if free >= LEAST_DISK_BYTES else "warning"
    return state, f"{free / GIB:.1f} GiB free at {settings.data_dir}"


def _sqlite(_: Settings) -> tuple[State, str]:
    return "ok", str(sqlite_module().sqlite_version)


def _database(settings: Settings) -> tuple[State, str]:
    if not settings.database_path.exists():
        return "ok", "none yet; `kefu serve` makes it"
    with open_database(settings.database_path) as database, database.read() as connection:
        verdict = connection.exec_driver_sql("PRAGMA quick_check").scalar()
    return ("ok" if verdict == "ok" else "error"), f"{settings.database_path}: {verdict}"


def _generator(settings: Settings) -> tuple[State, str]:
    found = resolve_generator(settings)
    where = found.url if isinstance(found, RemoteServer) else found.path
    return "ok", f"{where} ({found.prompt} prompts)"


def _devices(_: Settings) -> tuple[State, str]:
    gpus = [device for device in find_devices() if device.is_gpu]
    if gpus:
        return "ok", "; ".join(
            f"{gpu.description} ({gpu.name}), {gpu.free_bytes / GIB:.1f} of "
            f"{gpu.total_bytes / GIB:.1f} GiB free"
            for gpu in gpus
        )
    if shutil.which("nvidia-smi") or shutil.which("rocm-smi"):
        return "warning", (
            "there is a graphics card, but this build of llama.cpp computes on the CPU alone; "
            "docs/which-model.md says which build uses the card"
        )
    return "ok", "computes on the CPU; no graphics card"


def _intents(settings: Settings) -> tuple[State, str]:
    versions = Versions(settings.intents_dir)
    current = versions.current()
    if current is None:
        return "ok", "no model trained; `kefu intent train` makes one"
    _, about = load(versions.folder_of(current.version))
    return "ok", f"{current.version}: {len(about.labels)} intents"


def _print(findings: list[Finding]) -> None:
    table = Table("", "", "", show_header=False)
    for finding in findings:
        style = STYLES[finding.state]
        table.add_row(finding.what, Text(finding.state, style=style), Text(finding.detail))
    Console().print(table)
