"""What the settings mean by an encoder and a generator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kefu.errors import ModelMissing, SettingsError
from kefu.inference.models.catalogue import Model, load_catalogue
from kefu.inference.models.gguf_file import GgufFile, open_gguf
from kefu.inference.models.installed import InstalledModel, find_installed, get_installed
from kefu.settings import Settings, UpstreamSettings

PromptStyle = Literal["completion", "chat", "trained"]


@dataclass(frozen=True)
class LocalGguf:
    """A model kefu runs itself. `path` is the first file of a split GGUF."""

    path: Path
    prompt: PromptStyle


@dataclass(frozen=True)
class RemoteServer:
    """An OpenAI-compatible server that somebody else runs."""

    url: str
    prompt: PromptStyle


@dataclass(frozen=True)
class RemoteServers:
    """Several of them that write the same."""

    upstreams: tuple[UpstreamSettings, ...]
    prompt: PromptStyle


def resolve_generator(settings: Settings) -> LocalGguf | RemoteServer | RemoteServers:
    """Read `generator.model`: a catalogue name, the path or address of a GGUF, or a server's URL;
    or `generator.upstreams`.

    Raises `ModelMissing` (name known, not pulled; path without a file), `ModelCorrupt` (not a
    GGUF, or a damaged one) and `SettingsError` (an encoder's name, or nothing that is known).
    """
    chosen, prompt = settings.generator.model, settings.generator.prompt
    if upstreams := settings.generator.upstreams:
        return RemoteServers(upstreams, "chat" if prompt == "auto" else prompt)
    model = load_catalogue(settings.data_dir).find(chosen)
    if model is None and _is_url(chosen):
        return RemoteServer(chosen.rstrip("/"), "chat" if prompt == "auto" else prompt)
    if model is not None:
        _check_task(model, "generator")
        path = get_installed(settings, chosen).path
        prompt = model.prompt if prompt == "auto" else prompt
    else:
        path = _existing_gguf(chosen)
    if (adapter := settings.generator.adapter) and not Path(adapter).is_file():
        raise ModelMissing(f"generator.adapter: there is no file {adapter}.")
    with open_gguf(path) as gguf:
        _check_all_parts(gguf)
        return LocalGguf(path, _prompt_style(gguf) if prompt == "auto" else prompt)


def resolve_encoder(settings: Settings) -> InstalledModel:
    """Read `encoder.model`, a catalogue name. Raises as `resolve_generator`."""
    model = load_catalogue(settings.data_dir).get(settings.encoder.model)
    _check_task(model, "encoder")
    return get_installed(settings, model.name)


def encoder_sha256(settings: Settings) -> str:
    """The sum of the file of `encoder.model`, which need not be here. Raises as `resolve_generator`."""
    model = load_catalogue(settings.data_dir).get(settings.encoder.model)
    _check_task(model, "encoder")
    opened = model.files[0]
    if opened.sha256:
        return opened.sha256
    if installed := find_installed(settings, model.name):
        return next(file.sha256 for file in installed.files if file.path == opened.path)
    raise SettingsError(
        f"encoder.model: the catalogue has no sha256 for {model.name}, so the model at encoder.url "
        "cannot be told from another. Write it into your catalogue.toml."
    )


def resolve_bert(settings: Settings, chosen: str) -> Path:
    """A Hugging Face folder: the path of one, or a catalogue name. Raises as `resolve_generator`."""
    path = Path(chosen).expanduser()
    if path.is_dir():
        return path.resolve()
    model = load_catalogue(settings.data_dir).find(chosen)
    if model is None:
        raise ModelMissing(
            f"There is no folder {chosen!r}, and no such name in `kefu models list`."
        )
    _check_task(model, "bert")
    return get_installed(settings, model.name).path.parent


PAIRS = "multilingual-e5-small-kefu"
"""Catalogue name of the model that compares two questions. The trees on top of it fit no other."""


def resolve_pairs(settings: Settings) -> InstalledModel:
    """The model that compares questions. Raises `ModelMissing` or `ModelCorrupt`."""
    return get_installed(settings, PAIRS)


READER = "multilingual-e5-small-reader"
"""Catalogue name of the model that marks the sentences which answer."""


def resolve_reader(settings: Settings) -> InstalledModel:
    """The reader's model. Raises `ModelMissing` or `ModelCorrupt`."""
    return get_installed(settings, READER)


def required_models(settings: Settings) -> tuple[str, ...]:
    """Catalogue names that the settings ask for: what `kefu models pull` and a start fetch."""
    generator = settings.generator.model
    is_remote = bool(settings.generator.upstreams)
    known = not is_remote and load_catalogue(settings.data_dir).find(generator) is not None
    return (
        *(() if settings.encoder.url else (settings.encoder.model,)),
        *((generator,) if known else ()),
        *((PAIRS,) if settings.answers.semantic else ()),
        *((READER,) if settings.replies.reader else ()),
    )


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _check_task(model: Model, task: str) -> None:
    if model.task != task:
        raise SettingsError(f"{task}.model: {model.name!r} is a model for the {model.task}.")


def _existing_gguf(chosen: str) -> Path:
    path = Path(chosen).expanduser()
    if path.is_file():
        return path.resolve()
    if path.suffix == ".gguf" or len(path.parts) > 1:
        raise ModelMissing(f"generator.model: there is no file {path}.")
    raise SettingsError(
        f"generator.model: {chosen!r} is no name in the catalogue (`kefu models list`), no path of "
        "a GGUF file, and no http:// or https:// address."
    )


_SPLIT_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def _check_all_parts(gguf: GgufFile) -> None:
    """A split GGUF is opened by its first file; llama.cpp looks for the others beside it."""
    count = int(gguf.find("split.count", 0))
    if count <= 1:
        return
    match = _SPLIT_NAME.fullmatch(gguf.path.name)
    if match is None or int(match["number"]) != 1:
        raise SettingsError(
            f"{gguf.path} is one of {count} parts; name the first, *-00001-of-{count:05}.gguf."
        )
    names = [f"{match['stem']}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]
    missing = [name for name in names if not gguf.path.with_name(name).is_file()]
    if missing:
        raise ModelMissing(f"Parts of {gguf.path} are missing: {', '.join(missing)}.")


_BASE = re.compile(r"(?:^|[-_. ])(?:base|pt|pretrained)(?:[-_. ]|$)", re.IGNORECASE)


def _prompt_style(gguf: GgufFile) -> PromptStyle:
    """A chat template makes a chat model, unless the names say base: some base models carry one."""
    keys = ("general.name", "general.finetune", "general.basename")
    names = [str(gguf.find(key, "")) for key in keys]
    is_base = any(_BASE.search(name) for name in (*names, gguf.path.stem))
    return "chat" if "tokenizer.chat_template" in gguf.entries and not is_base else "completion"
