"""What every command gets from the main one."""

from __future__ import annotations

import getpass

import typer

from kefu.settings import Settings


def settings_of(ctx: typer.Context) -> Settings:
    settings: Settings = ctx.obj
    return settings


def actor() -> str:
    """Who gives the command, as the audit names them."""
    try:
        return f"cli:{getpass.getuser()}"[:128]
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return "cli:unknown"
