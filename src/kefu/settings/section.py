"""What every table of `kefu.toml` is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of `kefu.toml`. Frozen, and a misspelt name is an error rather than ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
