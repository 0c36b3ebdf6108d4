"""Writes the encoder into the model repository of a Triton server.

REPOSITORY/use-multilingual-v3-b8b05b01f0861094-512/
  config.pbtxt
  1/model.onnx  1/model.py
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from kefu.errors import InvalidInput, ModelError
from kefu.inference.encoder.onnx import MAX_CHARACTERS, SENTENCES_PER_RUN, OnnxEncoder
from kefu.inference.encoder.triton.encoder import SENTENCES_PER_REQUEST, served_name
from kefu.inference.encoder.triton.endpoint import INPUT, OUTPUT
from kefu.inference.models.files import copy_stream, sync_directory, sync_file
from kefu.inference.models.installed import InstalledModel
from kefu.inference.models.progress import SILENT, Progress

_VERSION = "1"


@dataclass(frozen=True)
class Exported:
    """A model in a repository. `linked`: its file takes no room of its own."""

    name: str
    id: str
    folder: Path
    size_bytes: int
    linked: bool


def export(
    installed: InstalledModel,
    repository: Path,
    *,
    threads: int,
    instances: int,
    replace: bool = False,
    progress: Progress = SILENT,
) -> Exported:
    """`instances` processes of `threads` CPU threads each.

    Raises `InvalidInput` where the model is there already and is not to be replaced, `ModelError`
    where it cannot be written. The repository then has what it had before.
    """
    progress.step(f"opening {installed.path}")
    encoder = OnnxEncoder(installed.path, 1)
    name = served_name(installed.model.name, encoder.id)
    folder = repository / name
    if folder.exists() and not replace:
        raise InvalidInput(f"{folder} is there already; --force writes it anew.")
    try:
        repository.mkdir(parents=True, exist_ok=True)
        with _staging(repository) as staging:
            made = staging / name
            (made / _VERSION).mkdir(parents=True)
            linked = _link_or_copy(installed.path, made / _VERSION / "model.onnx", progress)
            _write(made / _VERSION / "model.py", _served_code())
            _write(made / "config.pbtxt", _config(name, encoder.dimensions, threads, instances))
            _swap_in(made, folder)
    except OSError as error:
        raise ModelError(f"Could not write {folder}: {error.strerror or error}.") from error
    return Exported(name, encoder.id, folder, installed.path.stat().st_size, linked)


def _config(name: str, dimensions: int, threads: int, instances: int) -> str:
    """Who waits when an instance is free goes with the next batch; nobody waits for company."""
    parameters = {
        "max_characters": MAX_CHARACTERS,
        "texts_per_run": SENTENCES_PER_RUN,
        "threads": threads,
    }
    sizes = ", ".join(str(SENTENCES_PER_RUN * runs) for runs in (1, 2, 4))
    return "\n".join(
        (
            f'name: "{name}"',
            'backend: "python"',
            f"max_batch_size: {SENTENCES_PER_REQUEST}",
            f'input [ {{ name: "{INPUT}" data_type: TYPE_STRING dims: [ 1 ] }} ]',
            f'output [ {{ name: "{OUTPUT}" data_type: TYPE_FP32 dims: [ {dimensions} ] }} ]',
            "dynamic_batching {",
            f"  preferred_batch_size: [ {sizes} ]",
            "  max_queue_delay_microseconds: 0",
            "}",
            f"instance_group [ {{ kind: KIND_CPU count: {instances} }} ]",
            *(
                f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
                for key, value in parameters.items()
            ),
            "",
        )
    )


def _served_code() -> str:
    return (resources.files("kefu.inference.encoder.triton") / "model.py").read_text("utf-8")


@contextmanager
def _staging(repository: Path) -> Iterator[Path]:
    """Beside the repository, as Triton takes every folder in it for a model; within it only where it
    is a disk of its own, or nothing can be written beside it."""
    parent = repository.resolve().parent
    beside = parent.stat().st_dev == repository.stat().st_dev and os.access(parent, os.W_OK)
    folder = (parent if beside else repository) / f".{repository.resolve().name}.export"
    shutil.rmtree(folder, ignore_errors=True)  # of an export that was killed
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _link_or_copy(source: Path, target: Path, progress: Progress) -> bool:
    """Whether it is linked, which other disks and some file systems do not allow."""
    try:
        os.link(source.resolve(), target)
        return True
    except OSError:
        pass
    total, done = source.stat().st_size, 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        progress.advance(f"copying {source.name}", done, total)

    with source.open("rb") as opened, target.open("wb") as out:
        copy_stream(opened, out, add)
    sync_file(target)
    return False


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    sync_file(path)


def _swap_in(made: Path, final: Path) -> None:
    """The finished folder in place of what was there, which goes last, with the staging."""
    old = made.with_name(f"{final.name}.old")
    if final.exists():
        final.rename(old)
    try:
        made.rename(final)
    except BaseException:  # Ctrl-C too
        if old.exists():
            old.rename(final)
        raise
    sync_directory(final.parent)
