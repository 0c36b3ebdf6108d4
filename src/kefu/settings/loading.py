"""Reading the settings from flags, environment and `kefu.toml`."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kefu.errors import SettingsError
from kefu.settings.settings import Settings


def load_settings(flags: dict[str, Any] | None = None, config: Path | None = None) -> Settings:
    """Read settings from every source.

    `flags` is nested like the file; `None` values are flags that were not given. `config` names
    the file; else `$KEFU_CONFIG`, else `kefu.toml` in the working directory where there is one.
    Raises `SettingsError` that names each setting that does not fit.
    """
    named = config or _path_from_environment()
    if named is not None and not named.is_file():
        raise SettingsError(f"No settings file at {named}.")
    path = named or (Path("kefu.toml") if Path("kefu.toml").is_file() else None)

    class FromFile(Settings):
        toml_file: ClassVar[Path | None] = path

    try:
        return FromFile(**_without_none(flags or {}))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        lines = [f"  {_said(found)}" for found in error.errors()]
        raise SettingsError("Settings that do not fit:\n" + "\n".join(lines)) from error


def _said(found: ErrorDetails) -> str:
    """What settings say of each other has no place of its own."""
    place = ".".join(map(str, found["loc"]))
    message = found["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _path_from_environment() -> Path | None:
    value = os.environ.get("KEFU_CONFIG")
    return Path(value) if value else None


def _without_none(flags: dict[str, Any]) -> dict[str, Any]:
    """Drop flags that were not given, so that the sources below them decide."""
    kept = {k: _without_none(v) if isinstance(v, dict) else v for k, v in flags.items()}
    return {k: v for k, v in kept.items() if v is not None and v != {}}
