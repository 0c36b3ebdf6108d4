"""The desk that is measured has the generator of the settings."""

from kefu.bench.load.desk import _generator
from kefu.settings import GeneratorSettings, Settings, load_settings


def started_with(generator: GeneratorSettings, monkeypatch, tmp_path) -> GeneratorSettings:
    flags, environment = _generator(Settings(data_dir=tmp_path, generator=generator))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    model = flags[flags.index("--generator") + 1] if flags else None
    return load_settings({"generator": {"model": model}}).generator


def test_it_has_the_same_model_or_upstreams(monkeypatch, tmp_path):
    one = started_with(GeneratorSettings(model="qwen"), monkeypatch, tmp_path)
    assert (one.model, one.upstreams) == ("qwen", ())
    upstreams = ({"url": "http://a", "api_key": "k"}, {"url": "http://b", "weight": 0})
    given = GeneratorSettings(upstreams=upstreams)
    assert started_with(given, monkeypatch, tmp_path).upstreams == given.upstreams
