"""`kefu models export-triton`: the sentence encoder for a Triton server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kefu.cli.context import settings_of
from kefu.cli.models_progress import progress_of
from kefu.cli.output import print_json
from kefu.inference.encoder.triton.repository import Exported, export
from kefu.inference.models import resolve_encoder

_NEXT = """\
Start Triton with it; its Python needs numpy, onnxruntime and onnxruntime-extensions:
    tritonserver --model-repository={repository}
and let the desk ask it: KEFU_ENCODER__URL=http://HOST:8000 (or grpc://HOST:8001)"""


def export_triton(
    ctx: typer.Context,
    repository: Annotated[
        Path, typer.Argument(help="The model repository; made where there is none.")
    ],
    instances: Annotated[
        int, typer.Option(min=1, help="Processes that encode, each 0.2 GB; as many as cores.")
    ] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Write the model anew where it is there already.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Write the encoder of the settings into the model repository of a Triton server."""
    settings = settings_of(ctx)
    with progress_of(as_json) as progress:
        made = export(
            resolve_encoder(settings),
            repository,
            threads=settings.encoder.threads,
            instances=instances,
            replace=force,
            progress=progress,
        )
    if as_json:
        print_json(
            {"name": made.name, "id": made.id, "path": str(made.folder), "linked": made.linked}
        )
        return
    typer.echo(_said(made))
    typer.echo(_NEXT.format(repository=repository.resolve()))


def _said(made: Exported) -> str:
    how = "linked, takes no room" if made.linked else "copied"
    return f"{made.name}: {made.folder} ({made.size_bytes / 1e6:,.0f} MB, {how})"
