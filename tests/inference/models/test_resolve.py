from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kefu.errors import ModelCorrupt, ModelMissing, SettingsError
from kefu.inference.models import (
    LocalGguf,
    RemoteServer,
    RemoteServers,
    ensure,
    required_models,
    resolve_encoder,
    resolve_generator,
)
from kefu.inference.models.resolve import PAIRS, READER
from kefu.settings import Settings, load_settings

from .making import SmallGguf, entry, write_gguf

CHAT = {"tokenizer.chat_template": "{{ messages }}"}


def settings_with(data_dir: Path, generator: object, prompt: str = "auto") -> Settings:
    chosen = {"model": str(generator), "prompt": prompt}
    return load_settings({"data_dir": data_dir, "generator": chosen})


def test_url_is_a_remote_server(data_dir: Path) -> None:
    settings = settings_with(data_dir, "http://gpu:8000/v1/")
    assert resolve_generator(settings) == RemoteServer("http://gpu:8000/v1", "chat")
    assert required_models(settings) == ("use-multilingual-v3", PAIRS, READER)
    asked = settings_with(data_dir, "https://gpu/v1", "completion")
    assert resolve_generator(asked) == RemoteServer("https://gpu/v1", "completion")


def test_several_are_asked_as_one_is_and_no_model_is_fetched(data_dir: Path) -> None:
    given = {"upstreams": [{"url": "http://a"}, {"url": "http://b"}]}
    settings = load_settings({"data_dir": data_dir, "generator": given})
    upstreams = settings.generator.upstreams
    assert resolve_generator(settings) == RemoteServers(upstreams, "chat")
    assert required_models(settings) == ("use-multilingual-v3", PAIRS, READER)
    asked = load_settings({"data_dir": data_dir, "generator": {**given, "prompt": "completion"}})
    assert resolve_generator(asked) == RemoteServers(upstreams, "completion")


@pytest.mark.parametrize(
    ("texts", "setting", "style"),
    [
        ({}, "auto", "completion"),
        (CHAT, "auto", "chat"),
        (CHAT, "completion", "completion"),
        ({**CHAT, "general.finetune": "base"}, "auto", "completion"),
        ({**CHAT, "general.basename": "Tiny-Base-v2"}, "auto", "completion"),
        ({**CHAT, "general.basename": "Database"}, "auto", "chat"),
    ],
)
def test_metadata_decides_how_to_prompt(
    texts: dict[str, str], setting: str, style: str, tmp_path: Path, data_dir: Path
) -> None:
    path = write_gguf(tmp_path / "mine.gguf", texts=texts).path
    settings = settings_with(data_dir, path, setting)
    assert resolve_generator(settings) == LocalGguf(path.resolve(), style)
    assert required_models(settings) == ("use-multilingual-v3", PAIRS, READER)


def test_catalogue_decides_before_metadata(
    tmp_path: Path, data_dir: Path, write_catalogue: Callable[[str], Path]
) -> None:
    path = write_gguf(tmp_path / "mine.gguf", texts=CHAT).path
    write_catalogue(
        entry("mine", f'"file:{path}"').replace("title", 'prompt = "completion"\ntitle')
    )
    settings = settings_with(data_dir, "mine")
    assert required_models(settings) == ("use-multilingual-v3", "mine", PAIRS, READER)
    with pytest.raises(ModelMissing, match="kefu models pull mine"):
        resolve_generator(settings)
    installed = ensure(settings, "mine")
    assert resolve_generator(settings) == LocalGguf(installed.path, "completion")


def test_what_cannot_be_a_generator_is_named(tmp_path: Path, data_dir: Path) -> None:
    wrong = tmp_path / "model.gguf"
    wrong.write_bytes(b"GGML" * 10)
    for chosen, error, said in (
        (wrong, ModelCorrupt, "is not a GGUF file"),
        (tmp_path / "gone.gguf", ModelMissing, "there is no file"),
        ("qwen", SettingsError, "'qwen' is no name in the catalogue"),
        ("use-multilingual-v3", SettingsError, "is a model for the encoder"),
    ):
        with pytest.raises(error, match=said):
            resolve_generator(settings_with(data_dir, chosen))


def test_split_gguf_needs_all_parts_and_the_first(tmp_path: Path, data_dir: Path) -> None:
    names = [tmp_path / f"m-{number:05}-of-00002.gguf" for number in (1, 2)]
    split = {"split.count": 2}
    write_gguf(names[0], numbers=split)
    with pytest.raises(ModelMissing, match="m-00002-of-00002"):
        resolve_generator(settings_with(data_dir, names[0]))
    write_gguf(names[1], numbers=split)
    assert resolve_generator(settings_with(data_dir, names[0])) == LocalGguf(names[0], "completion")
    with pytest.raises(SettingsError, match="name the first"):
        resolve_generator(settings_with(data_dir, names[1]))


def test_encoder_is_a_catalogue_name(data_dir: Path, small_gguf: SmallGguf) -> None:
    for name, error in (
        ("gemma-3-270m", SettingsError),
        ("nobody", ModelMissing),
        ("use-multilingual-v3", ModelMissing),
    ):
        with pytest.raises(error):
            resolve_encoder(load_settings({"data_dir": data_dir, "encoder": {"model": name}}))


def test_where_no_answer_is_given_again_to_other_words_no_pairs_are_compared(data_dir: Path):
    settings = load_settings({"data_dir": data_dir, "answers": {"semantic": False}})
    assert PAIRS not in required_models(settings)


def test_without_a_reader_none_is_fetched(data_dir: Path):
    settings = load_settings({"data_dir": data_dir, "replies": {"reader": False}})
    assert READER not in required_models(settings)
