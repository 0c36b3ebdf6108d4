"""Models in Hugging Face's folder layout, read from this disk only and without running their code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kefu.bert.optional import require_tokenizers, require_torch, require_transformers
from kefu.bert.session import TEXTS_PER_RUN, Logits
from kefu.bert.tokens import Tokens
from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from kefu.inference.onnx_runtime import runs_by_length

CONFIG = "config.json"

_PICKLE = "pytorch_model.bin"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)


def open_classifier(folder: Path) -> tuple[Any, tuple[str, ...]]:
    """A fine-tuned model and its labels, in the order of its logits.

    Raises `ModelMissing`, `ModelCorrupt` or `InvalidInput` (no trained head, fewer than two
    labels).
    """
    model, new = _load(folder, "AutoModelForSequenceClassification", {})
    if new:
        raise InvalidInput(
            f"{folder} is an encoder without a trained classifier ({', '.join(sorted(new))} "
            "missing). Fine-tune it first: kefu intent train FILE --encoder DIR --finetune"
        )
    labels = tuple(str(label) for _, label in sorted(model.config.id2label.items()))
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise InvalidInput(
            f"{folder / CONFIG} names the labels {list(labels)}; a classifier has two or more, "
            "all different (`id2label`)."
        )
    return model, labels


def open_for_training(folder: Path, labels: Sequence[str]) -> tuple[Any, frozenset[str]]:
    """The encoder with a head for `labels`, and the names of the parameters that are new.

    A head that was there is dropped where its size differs. Raises as `open_classifier`.
    """
    names = dict(enumerate(labels))
    options = {
        "id2label": names,
        "label2id": {label: number for number, label in names.items()},
        "problem_type": "single_label_classification",
        "ignore_mismatched_sizes": True,
    }
    return _load(folder, "AutoModelForSequenceClassification", options)


def open_encoder(folder: Path) -> Any:
    """The model without any head. Raises `ModelMissing` or `ModelCorrupt`."""
    return _load(folder, "AutoModel", {})[0]


def open_tokenizer(folder: Path) -> Any:
    """A transformers tokeniser that `as_tokens` takes. Raises `ModelMissing` or `ModelCorrupt`."""
    transformers = require_transformers()
    _check_folder(folder)
    # transformers makes up an empty tokeniser where there is none.
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelMissing(
            f"{folder} has no tokeniser ({', '.join(_TOKENIZER_FILES[:2])}, ...). "
            "Copy the files of the model's tokeniser into it."
        )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers raises whatever its parts raise
        raise ModelCorrupt(f"The tokeniser in {folder} cannot be loaded: {error}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelCorrupt(
            f"The tokeniser in {folder} ({type(tokenizer).__name__}) cannot be written as "
            "tokenizer.json, which kefu reads without transformers. Use a model that has one."
        )
    return tokenizer


def max_tokens_of(model: Any, tokenizer: Any, wanted: int) -> int:
    """`wanted`, or fewer where the model has no positions for as many."""
    return int(min(wanted, positions_of(model) or wanted, tokenizer.model_max_length))


def positions_of(model: Any) -> int | None:
    """How many tokens the model can tell the places of; None where nothing limits it."""
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    embeddings = getattr(model.base_model, "embeddings", None)
    # RoBERTa and its kin count places from behind the padding's number.
    first = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return positions if positions is None or first is None else positions - first - 1


def as_fast(tokenizer: Any, max_tokens: int) -> Any:
    """A transformers tokeniser as one of `tokenizers`; written to a file it knows its padding."""
    fast = require_tokenizers().Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    fast.enable_truncation(max_tokens)
    fast.enable_padding(
        direction=tokenizer.padding_side,
        pad_id=tokenizer.pad_token_id or 0,
        pad_token=tokenizer.pad_token or "[PAD]",
    )
    return fast


def logits_of(model: Any, tokens: Tokens, texts: Sequence[str]) -> Logits:
    """(n, labels) float32: what PyTorch answers, in the runs that `BertSession` would make."""
    torch = require_torch()
    rows_of_ids = [tokens.ids(text) for text in texts]
    found = np.zeros((len(texts), model.config.num_labels), np.float32)
    model.eval()
    with torch.inference_mode():
        for rows in runs_by_length(rows_of_ids, TEXTS_PER_RUN):
            ids, mask = tokens.padded([rows_of_ids[row] for row in rows])
            given = (torch.from_numpy(part).to(model.device) for part in (ids, mask))
            input_ids, attention_mask = given
            answer = model(input_ids=input_ids, attention_mask=attention_mask)
            found[rows] = answer.logits.float().cpu().numpy()
    return found


def _load(folder: Path, kind: str, options: dict[str, Any]) -> tuple[Any, frozenset[str]]:
    """A model in float32 on the CPU, and the names of parameters that the folder does not have."""
    torch, transformers = require_torch(), require_transformers()
    _check_folder(folder)
    has_safetensors = _has_safetensors(folder)
    try:
        model, info = getattr(transformers, kind).from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=has_safetensors,
            weights_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # transformers raises whatever its parts raise
        raise ModelCorrupt(
            f"{folder} cannot be loaded as {kind}: {error}. Fetch or save the model again."
        ) from error
    mismatched = {str(key[0]) for key in info["mismatched_keys"]}
    new = frozenset(info["missing_keys"]) | mismatched
    _check_encoder_is_whole(folder, model, new, has_head=kind != "AutoModel")
    return model, new


def _check_encoder_is_whole(
    folder: Path, model: Any, new: frozenset[str], *, has_head: bool
) -> None:
    """Weights of another model leave the encoder random, of which transformers only warns."""
    prefix = f"{model.base_model_prefix}." if has_head else ""
    # The pooler belongs to the head: many encoders are published without one.
    if lost := sorted(n for n in new if n.startswith(prefix) and "pooler" not in n):
        raise ModelCorrupt(
            f"The weights in {folder} are not those of the model that {CONFIG} describes: "
            f"{lost[0]} and {len(lost) - 1} more are missing or of another size."
        )


def _check_folder(folder: Path) -> None:
    if not (folder / CONFIG).is_file():
        what = "has no config.json" if folder.is_dir() else "is not there"
        raise ModelMissing(f"{folder} {what}. Give the folder of a Hugging Face model.")


def _has_safetensors(folder: Path) -> bool:
    """False where there is only a pickle, of which PyTorch then reads nothing but tensors."""
    if any(folder.glob("*.safetensors")):
        return True
    if any(folder.glob(f"{Path(_PICKLE).stem}*.bin")):
        return False
    raise ModelMissing(
        f"{folder} has no weights: neither model.safetensors nor {_PICKLE}. "
        "Other formats (TensorFlow, Flax) must be converted first."
    )
