"""`[log]` and `[traces]`: what the desk tells of itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kefu.settings.section import Section


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto`: console on a terminal, JSON lines elsewhere."
    )


class TracesSettings(Section):
    endpoint: str = Field(
        "",
        description="OpenTelemetry collector (OTLP over HTTP), as http://host:4318; empty: none.",
    )
    share: float = Field(1.0, ge=0, le=1, description="Share of the requests that are traced.")
