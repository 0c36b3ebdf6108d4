"""The catalogue of models: kefu's own (`catalogue.toml` beside this file) and the user's.

The user's `catalogue.toml` lies in the data directory and has the same format; an entry with a
known name replaces ours. `docs/models.md` explains every key.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import unquote, urlsplit

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from kefu.errors import ModelMissing, SettingsError
from kefu.inference.models.sources import Source, SourceSyntaxError, parse_source

Prompt = Literal["auto", "completion", "chat", "trained"]
Task = Literal["encoder", "generator", "bert", "pairs", "reader"]
_Strict = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    `sha256` empty: the sum of the first pull is recorded and held to. `size_bytes` 0: not known
    beforehand. Each of `sources` is one place to get the whole file from, in order of preference;
    a place is a tuple of parts that are joined (nearly always one).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    path: str
    sources: tuple[tuple[Source, ...], ...] = ()
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    size_bytes: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class Derivation:
    """A model kefu makes from another one, instead of fetching it.

    `adapter` is for `merge-adapter` (a GGUF) and `assemble-reader` (arrays): absolute, or beside the
    catalogue.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    model: str
    step: Literal["prune-vocabulary", "merge-adapter", "assemble-pairs", "assemble-reader"]
    adapter: Path | None = None


@dataclass(frozen=True)
class Footprint:
    """What decides how much memory a generator needs. Of one not pulled yet: as its makers say.

    `layers` that can go to a GPU one by one; `vocabulary` in tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    weights_bytes: int
    context_bytes_per_token: int
    layers: int
    vocabulary: int


@dataclass(frozen=True)
class Model:
    """One entry. The first of `files` is the one a program opens."""

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    task: Task
    title: str
    files: Annotated[tuple[ModelFile, ...], Field(min_length=1)]
    licence: str = "unknown"
    licence_url: str = ""
    licence_notice: str = ""
    prompt: Prompt = "auto"
    derive: Derivation | None = None
    footprint: Footprint | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes on disk once pulled, as far as the catalogue knows them."""
        known = sum(file.size_bytes for file in self.files)
        return known or (self.footprint.weights_bytes if self.footprint else 0)


@dataclass(frozen=True)
class Catalogue:
    """Models by name."""

    models: dict[str, Model]

    def find(self, name: str) -> Model | None:
        """The entry of that name; for the address of a GGUF file, an entry made for it."""
        return self.models.get(name) or (_model_at(name) if is_gguf_address(name) else None)

    def get(self, name: str) -> Model:
        model = self.find(name)
        if model is None:
            raise ModelMissing(
                f"No model named {name!r} in the catalogue. Known: {', '.join(self.models)}. "
                "`docs/models.md` shows how to add your own."
            )
        return model


def is_gguf_address(text: str) -> bool:
    """Whether this is where a GGUF file can be fetched, rather than a server that generates."""
    return text.startswith(("http://", "https://")) and urlsplit(text).path.endswith(".gguf")


def _model_at(url: str) -> Model:
    """A user's own GGUF somewhere on the web. Its sum is recorded at the first pull."""
    path = PurePosixPath(unquote(urlsplit(url).path))
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:60] or "model"
    name = f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    file = ModelFile(f"{stem}.gguf", ((parse_source(url, Path()),),))
    return Model(name, "generator", f"Fetched from {url}", (file,))


def load_catalogue(data_dir: Path | None = None) -> Catalogue:
    """Our models, and over them those of `data_dir/catalogue.toml` where there is one.

    Raises `SettingsError` naming file, entry and key.
    """
    ours = Path(str(resources.files(__package__).joinpath("catalogue.toml")))
    parsed = _parse(ours.read_text("utf-8"), "kefu's catalogue.toml", ours.parent)
    models = {model.name: model for model in parsed}
    path = data_dir / "catalogue.toml" if data_dir is not None else None
    if path is not None and path.is_file():
        own = _parse(_read(path), str(path), path.parent.resolve())
        models.update({model.name: model for model in own})
    for model in models.values():
        _check_derivation(model, models, str(path or "catalogue.toml"))
    return Catalogue(models)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _parse(text: str, file: str, folder: Path) -> list[Model]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from error
    entries = table.pop("model", [])
    if table or not isinstance(entries, list):
        raise SettingsError(f"{file}: only [[model]] entries are known, not {sorted(table)}.")
    models = [_parse_model(entry, index, file, folder) for index, entry in enumerate(entries, 1)]
    _check_unique(models, file)
    return models


def _check_unique(models: Iterable[Model], file: str) -> None:
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise SettingsError(f"{file}: two entries are named {model.name!r}.")
        seen.add(model.name)


def _parse_model(entry: Any, index: int, file: str, folder: Path) -> Model:
    name = entry.get("name") if isinstance(entry, dict) else None
    where = f"{file}: model {name!r}" if name else f"{file}: model number {index}"
    try:
        # Sources are read by our own parser, which says more than a type error would.
        model = _MODEL.validate_python(_with_parsed_sources(entry, folder))
    except SourceSyntaxError as error:
        raise SettingsError(f"{where}: sources: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise SettingsError(f"{where} does not fit:\n" + "\n".join(lines)) from error
    _check_files(model, where)
    return model


_MODEL = TypeAdapter(Model)


def _with_parsed_sources(entry: Any, folder: Path) -> Any:
    """Turn each source text into a `Source`: a string is one part, a list several."""
    if not isinstance(entry, dict) or not isinstance(entry.get("files"), list):
        return entry
    files = [_with_parsed_file(file, folder) for file in entry["files"]]
    derive = entry.get("derive")
    if isinstance(derive, dict) and isinstance(derive.get("adapter"), str):
        derive = {**derive, "adapter": folder / derive["adapter"]}
    return {**entry, "files": files, "derive": derive}


def _with_parsed_file(file: Any, folder: Path) -> Any:
    if not isinstance(file, dict) or not isinstance(file.get("sources", []), list):
        return file
    places = [
        tuple(
            parse_source(part, folder) for part in (place if isinstance(place, list) else [place])
        )
        for place in file.get("sources", [])
    ]
    return {**file, "sources": tuple(places)}


def _check_files(model: Model, where: str) -> None:
    seen: set[str] = set()
    for file in model.files:
        path = PurePosixPath(file.path)
        inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
        if not inside or "\\" in file.path or ":" in file.path or file.path in _RESERVED:
            raise SettingsError(f"{where}: files: path {file.path!r} must be a name in the folder.")
        if file.path in seen:
            raise SettingsError(f"{where}: files: {file.path!r} is listed twice.")
        seen.add(file.path)
        if not model.derive and not (file.sources and all(file.sources)):
            raise SettingsError(f"{where}: files: {file.path!r} has no sources, or an empty one.")


_RESERVED = ("kefu-model.json", "NOTICE.txt")
"""Written by kefu into a model's folder."""


_SAME_NETWORK = {"pairs", "reader"}
"""Tasks of one network: a reader is made from the model of pairs' original."""


def _check_derivation(model: Model, models: dict[str, Model], file: str) -> None:
    if model.derive is None:
        return
    where = f"{file}: model {model.name!r}: derive"
    needs_adapter = model.derive.step in ("merge-adapter", "assemble-reader")
    if needs_adapter != (model.derive.adapter is not None):
        needs = "needs one" if needs_adapter else "has none"
        raise SettingsError(f"{where}.adapter: the step {model.derive.step} {needs}.")
    base = models.get(model.derive.model)
    seen = {model.name}
    while base is not None and base.derive is not None and base.name not in seen:
        seen.add(base.name)
        base = models.get(base.derive.model)
    is_alike = base is not None and {base.task, model.task} <= _SAME_NETWORK | {model.task}
    if base is None or base.derive is not None or not is_alike:
        raise SettingsError(
            f"{where}.model {model.derive.model!r} must name a {model.task} of the catalogue that "
            "is fetched, or made from one that is."
        )
