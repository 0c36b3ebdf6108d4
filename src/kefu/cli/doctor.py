"""`kefu doctor`: is everything there that a desk needs, and what will this machine carry?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.output import print_json
from kefu.doctor import installation, machine
from kefu.doctor.finding import Check, Finding, State, look
from kefu.doctor.plan import GIB, Fit, plan_of
from kefu.settings import Settings

STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "error": "red"}
CHECKS: dict[str, Check] = {
    "kefu": installation.kefu,
    "processor": machine.processor,
    "memory": machine.memory,
    "container": machine.container,
    "disk": machine.disk,
    "folder": machine.folder,
    "clock": machine.clock,
    "port": machine.port,
    "sqlite": installation.sqlite,
    "database": installation.database,
    "redis": installation.redis,
    "encoder": installation.encoder,
    "generator": installation.generator,
    "models": installation.models,
    "llama.cpp": machine.graphics,
    "intents": installation.intents,
}


def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Look at the machine and the installation. Exit code 1 if something would not work."""
    settings = settings_of(ctx)
    findings = [look(what, check, settings) for what, check in CHECKS.items()]
    plan = plan_of(settings)
    if as_json:
        fits = [Finding(f"model {row.model}", "ok", row.sentence) for row in plan]
        print_json([asdict(finding) for finding in [*findings, *fits]])
    else:
        _print(findings)
        Console().print(_plan_table(plan, settings))
    if any(finding.state == "error" for finding in findings):
        sys.exit(1)


def _print(findings: list[Finding]) -> None:
    table = Table("", "", "", show_header=False)
    for finding in findings:
        style = STYLES[finding.state]
        table.add_row(finding.what, Text(finding.state, style=style), Text(finding.detail))
    Console().print(table)


def _plan_table(plan: list[Fit], settings: Settings) -> Table:
    generator = settings.generator
    chats = f"{generator.detected_parallel} chats of {generator.chat_context_tokens:,} tokens"
    table = Table(
        "generator", "weights", "chats", "in all", "", title=f"What fits here, with {chats}"
    )
    for column in table.columns[1:4]:
        column.justify = "right"
    for fit in plan:
        need = fit.need
        sizes = (f"{size / GIB:.1f} GiB" for size in (need.weights, need.context, need.total))
        name = f"{fit.model} *" if fit.is_used else fit.model
        table.add_row(name, *sizes, fit.verdict)
    table.caption = "* in use. Of models that are not here: figures of their makers."
    return table
