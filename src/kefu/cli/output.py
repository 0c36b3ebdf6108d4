"""How commands print."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import typer


def print_json(data: Any) -> None:
    """For programs: one JSON document on standard output."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2))


def local_time(milliseconds: int) -> str:
    """Milliseconds since 1970 as this computer's clock shows them."""
    moment = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")
