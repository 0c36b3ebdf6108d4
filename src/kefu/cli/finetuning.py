"""The options of commands that fine-tune a BERT."""

from __future__ import annotations

from typing import Annotated

import typer

from kefu.errors import InvalidInput

BertName = Annotated[
    str | None,
    typer.Option(
        help="A Hugging Face BERT folder or catalogue name, with --finetune.", show_default=False
    ),
]
Finetune = Annotated[
    bool, typer.Option("--finetune", help="Fine-tune that BERT (needs kefu[train]).")
]
Epochs = Annotated[
    int | None, typer.Option(min=1, max=100, help="Of a fine-tuning.", show_default=False)
]


def check_finetuning(finetune: bool, encoder: str | None) -> None:
    """Raises `InvalidInput`."""
    if finetune != (encoder is not None):
        raise InvalidInput("--finetune and --encoder DIR belong together.")
