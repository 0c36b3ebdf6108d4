"""The documentation tells the truth."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"])


def test_every_setting_is_documented_with_its_default():
    tool = ROOT / "tools" / "write_settings_page.py"
    spec = importlib.util.spec_from_file_location("write_settings_page", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert written == module.page(), "run tools/write_settings_page.py"
    assert "None |" not in written, "a setting has no description"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_commands_that_the_docs_name_exist():
    from typer.main import get_command

    from kefu.cli import app

    known = get_command(app)
    for page in PAGES:
        for words in re.findall(r"`kefu ((?:[a-z]+(?:-[a-z]+)* ?)+)", page.read_text("utf-8")):
            command = known
            for word in words.split():
                found = getattr(command, "commands", {}).get(word)
                assert found is not None, f"{page.name}: kefu {words}"
                command = found
                if not hasattr(command, "commands"):
                    break
