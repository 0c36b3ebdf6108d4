"""Settings come from flags, environment, file and defaults, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from kefu.errors import SettingsError
from kefu.settings import GeneratorSettings, ServerSettings, load_settings


def test_flags_beat_environment_beats_file_beats_defaults(monkeypatch: pytest.MonkeyPatch):
    Path("kefu.toml").write_text(
        "[server]\nport = 1\nhost = '::1'\n[conversation]\ncontext_rounds = 3\n"
    )
    monkeypatch.setenv("KEFU_SERVER__PORT", "2")
    assert load_settings().server.port == 2
    settings = load_settings({"server": {"port": 3, "host": None}})
    assert (settings.server.port, settings.server.host) == (3, "::1")
    assert settings.conversation.context_rounds == 3
    assert settings.conversation.context_tokens == 600


def test_a_named_file_is_read_and_a_missing_one_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "other.toml"
    file.write_text("language = 'en'\n")
    assert load_settings(config=file).language == "en"
    monkeypatch.setenv("KEFU_CONFIG", str(file))
    assert load_settings().language == "en"
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load_settings(config=tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[server]\nprot = 1\n", "server.prot"),
        ("[server]\nport = 99999\n", "server.port"),
        ("[server\n", "not valid TOML"),
        ("langauge = 'zh'\n", "langauge"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(content: str, told: str):
    Path("kefu.toml").write_text(content)
    with pytest.raises(SettingsError, match=told):
        load_settings()


def test_settings_are_frozen(settings):
    with pytest.raises(ValidationError):
        settings.server.port = 5


def test_a_key_is_not_shown_with_the_settings():
    assert "sk-secret" not in repr(GeneratorSettings(api_key="sk-secret"))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("desk.example", False),
    ],
)
def test_only_loopback_is_loopback(host: str, loopback: bool):
    assert ServerSettings(host=host).is_loopback is loopback
