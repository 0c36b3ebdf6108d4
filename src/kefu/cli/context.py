"""What every command gets from the main one."""

from __future__ import annotations

import typer

from kefu.settings import Settings


def settings_of(ctx: typer.Context) -> Settings:
    settings: Settings = ctx.obj
    return settings
