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


def upstreams(*names: str, **given: object) -> GeneratorSettings:
    return GeneratorSettings(upstreams=[{"url": f"http://{name}"} for name in names], **given)


def test_upstreams_are_tables_of_the_file_or_json_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
):
    Path("kefu.toml").write_text(
        "[[generator.upstreams]]\nurl = 'http://a:8000/v1/'\nweight = 2\nmax_open = 4\n"
        "[[generator.upstreams]]\nurl = 'http://b:8000'\nmax_open = 3\n"
    )
    generator = load_settings().generator
    assert [one.name for one in generator.upstreams] == ["a:8000", "b:8000"]
    assert [one.weight for one in generator.upstreams] == [2, 1]
    assert (generator.places, generator.title) == (7, "a:8000, b:8000")
    monkeypatch.setenv("KEFU_GENERATOR__UPSTREAMS", '[{"url": "https://c/openai", "model": "m"}]')
    generator = load_settings().generator
    assert [(one.name, one.model) for one in generator.upstreams] == [("c/openai", "m")]
    assert generator.places == generator.detected_parallel


@pytest.mark.parametrize(
    ("generator", "told"),
    [
        ({"model": "gemma", "upstreams": [{"url": "http://a"}]}, "leave out one"),
        ({"upstreams": [{"url": ""}]}, "upstreams.0.url: .*no http://"),
        ({"upstreams": [{"url": "gpu-box:8000"}]}, "no http://"),
        ({"upstreams": [{"weight": 1}]}, "upstreams.0.url"),
        ({"upstreams": [{"url": "http://a"}, {"url": "http://A/v1/"}]}, "a is there more than"),
        ({"upstreams": [{"url": "http://a", "weight": 0}]}, "every weight is 0"),
        ({"upstreams": [{"url": "http://a", "weight": -1}]}, "upstreams.0.weight"),
        ({"upstreams": [{"url": "http://a", "weigth": 1}]}, "upstreams.0.weigth"),
    ],
)
def test_upstreams_that_cannot_work_are_named(generator: dict[str, object], told: str):
    with pytest.raises(SettingsError, match=told):
        load_settings({"generator": generator})


def test_the_flag_for_a_model_and_upstreams_of_the_file_are_two_generators():
    Path("kefu.toml").write_text("[[generator.upstreams]]\nurl = 'http://a'\n")
    with pytest.raises(SettingsError, match="are both given"):
        load_settings({"generator": {"model": "gemma-3-270m-desk"}})
    chosen = load_settings().generator.instead("gemma-3-270m-desk")
    assert (chosen.model, chosen.upstreams) == ("gemma-3-270m-desk", ())


def test_kept_answers_outlive_servers_and_not_models():
    one = upstreams("a", upstream_model="qwen")
    assert one.id == upstreams("c", "b", upstream_model="qwen").id
    by_itself = GeneratorSettings(upstreams=[{"url": "http://a", "model": "qwen"}])
    assert one.id == by_itself.id
    others = [
        upstreams("a", upstream_model="llama"),
        upstreams("a", upstream_model="qwen", temperature=0.5),
        upstreams("a", upstream_model="qwen", prompt="completion"),
        GeneratorSettings(model="http://a", upstream_model="qwen"),
    ]
    assert one.id not in {other.id for other in others}


def test_no_password_is_shown_in_the_name_of_an_upstream():
    (one,) = upstreams("user:secret@host:8000/v1").upstreams
    assert one.name == "host:8000"
