"""`bert.json`: what an exported classifier is, kept beside its `model.onnx` and `tokenizer.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.models.files import sha256_of

MANIFEST = "bert.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"

# Raise it when a desk that reads the older format would answer wrongly.
FORMAT: Final = 1

# Of a longer message, what follows is rarely what it asks; attention costs the square of the length.
MAX_TOKENS = 128

Kind = Literal["int8", "fp32"]


class Manifest(BaseModel):
    """`labels` in the order of the logits; `sha256` of both files, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = FORMAT
    kind: Kind
    labels: Annotated[list[str], Field(min_length=2)]
    max_tokens: Annotated[int, Field(ge=4, le=8192)]
    sha256: dict[str, str]


def is_exported(folder: Path) -> bool:
    """Whether this is a folder that `export` wrote, whole or damaged."""
    return (folder / MANIFEST).is_file()


def write_manifest(folder: Path, kind: Kind, labels: list[str], max_tokens: int) -> None:
    """Describe the files in `folder`, which must all be there."""
    sums = {MODEL: sha256_of(folder / MODEL), TOKENIZER: sha256_of(folder / TOKENIZER)}
    manifest = Manifest.model_validate(
        {"kind": kind, "labels": labels, "max_tokens": max_tokens, "sha256": sums}
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read and hold both files to their sums. Raises `ModelMissing` or `ModelCorrupt`."""
    if not is_exported(folder):
        raise ModelMissing(
            f"{folder} is not an exported classifier: it has no {MANIFEST}. "
            "Export one with `kefu intent export`."
        )
    manifest = _parse(folder / MANIFEST)
    for name in (MODEL, TOKENIZER):
        _check_sum(folder / name, manifest.sha256.get(name))
    return manifest


def damaged(path: Path, what: str) -> ModelCorrupt:
    return ModelCorrupt(f"{path} cannot be used: {what}. Export the classifier again.")


def _parse(path: Path) -> Manifest:
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
            raise damaged(path, f"it has format {content['format']!r} and this kefu reads {FORMAT}")
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its content"
        raise damaged(path, f"{where}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise damaged(path, f"it is not JSON ({error})") from error


def _check_sum(path: Path, expected: str | None) -> None:
    if not path.is_file():
        raise damaged(path, "it is not there")
    if sha256_of(path) != expected:
        raise damaged(path, f"it is not the file that {MANIFEST} describes, or only a part of it")
