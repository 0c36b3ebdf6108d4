"""Writes docs/settings.md from `kefu.settings`: run it after a change there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kefu.settings import Section, Settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
HEAD = """# Settings

Flags win over the environment, the environment over `kefu.toml` (in the working folder, or
`--config FILE`, or `$KEFU_CONFIG`), and that over the defaults. `server.port` is

```toml
[server]
port = 9000
```

in the file and `KEFU_SERVER__PORT=9000` in the environment. A misspelt name is an error.

This page is written by `tools/write_settings_page.py`.

| setting | default | what it does |
|---|---|---|
"""


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """A table row for each setting, sections unfolded."""
    for name, field in model.model_fields.items():
        if _is_section(field.annotation):
            yield from rows(field.annotation, f"{name}.")
            continue
        yield f"| `{prefix}{name}` | {_default(field)} | {field.description} |"
        for table in filter(_is_section, get_args(field.annotation)):
            yield from rows(table, f"{prefix}{name}[].")


def page() -> str:
    return HEAD + "\n".join(rows(Settings)) + "\n"


def _is_section(kind: Any) -> TypeGuard[type[Section]]:
    return isinstance(kind, type) and issubclass(kind, Section)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    if field.default_factory is not None:
        return "the user's data folder"
    value = field.default
    if isinstance(value, str) and len(value) > 40:
        return f"`{value[:20]}…`"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value!r}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
