from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kefu.errors import ModelMissing, SettingsError
from kefu.inference.models import load_catalogue
from kefu.settings import EncoderSettings, GeneratorSettings

from .making import entry

Write = Callable[[str], Path]


def test_our_models_have_sums_sizes_and_licences() -> None:
    models = load_catalogue().models
    assert {EncoderSettings().model, GeneratorSettings().model} <= set(models)
    for model in models.values():
        assert model.licence != "unknown"
        assert model.licence_url.startswith("https://")
        # Of what could not be fetched when the entry was written, the first pull records the sum.
        known = all(file.sha256 and file.size_bytes for file in model.files)
        assert known or model.footprint


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ModelMissing, match=r"'gpt'.*use-multilingual-v3"):
        load_catalogue().get("gpt")


def test_users_entry_adds_and_overrides(data_dir: Path, write_catalogue: Write) -> None:
    write_catalogue(entry("mine", '"file:m.bin"') + entry("smollm2-135m-instruct", '"file:/s.bin"'))
    catalogue = load_catalogue(data_dir)
    assert catalogue.get("mine").files[0].sources[0][0].place == str(data_dir.resolve() / "m.bin")
    assert catalogue.get("smollm2-135m-instruct").title == "for a test"
    assert catalogue.find("gemma-3-270m") is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[model]\n", "not valid TOML"),
        ("[[models]]\nname = 'a'\n", r"only \[\[model\]\] entries.*models"),
        ("[[model]]\ntask = 'encoder'\n", r"model number 1[\s\S]*name: "),
        (entry("a", '"file:x"') + "colour = 'red'", r"model 'a'[\s\S]*files\.0\.colour"),
        (entry("a", '"file:x"').replace("generator", "painter"), r"model 'a'[\s\S]*task"),
        (entry("a", '"file:x"').replace('sha256 = ""', 'sha256 = "12"'), r"files\.0\.sha256"),
        (entry("a/b", '"file:x"'), r"model 'a/b'[\s\S]*name"),
        (entry("a", '"ftp://x"'), r"model 'a': sources: 'ftp://x'.*pypi:"),
        (entry("a", '"pypi:some-package#x"'), "should look like 'pypi:NAME==VERSION#"),
        (entry("a", '"pypi:-r==1#x"'), "should look like"),
        (entry("a", '"hf:owner/repo@main#../x"'), "should look like 'hf:"),
        (entry("a", "7"), "sources: 7 is not a text"),
        (entry("a"), "no sources"),
        (entry("a", "[]"), "or an empty one"),
        (entry("a", '"file:x"').replace("model.bin", "../model.bin"), "must be a name in the"),
        (entry("a", '"file:x"').replace("model.bin", "NOTICE.txt"), "must be a name in the"),
        (entry("a", '"file:x"') * 2, "two entries are named 'a'"),
        (
            entry("a", '"file:x"').replace(
                "[[model.files]]",
                'derive = {model = "use-multilingual-v3", step = "prune-vocabulary"}\n'
                "[[model.files]]",
            ),
            r"derive\.model 'use-multilingual-v3' must name a generator",
        ),
        (
            entry("a", '"file:x"').replace(
                "[[model.files]]",
                'derive = {model = "a", step = "prune-vocabulary"}\n[[model.files]]',
            ),
            r"derive\.model 'a' must name a generator",
        ),
        (
            entry("a", '"file:x"').replace(
                "[[model.files]]",
                'derive = {model = "gemma-3-270m", step = "merge-adapter"}\n[[model.files]]',
            ),
            r"derive\.adapter: the step merge-adapter needs one",
        ),
    ],
)
def test_errors_name_file_and_key(
    text: str, said: str, data_dir: Path, write_catalogue: Write
) -> None:
    path = write_catalogue(text)
    with pytest.raises(SettingsError, match=said) as caught:
        load_catalogue(data_dir)
    assert str(path) in str(caught.value)
