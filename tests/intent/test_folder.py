"""A model folder is read back as it was written, or refused with a reason; it never runs code."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from kefu.intent import folder as folder_module
from kefu.intent.card import write_card
from kefu.intent.dataset import digest
from kefu.intent.figures import Confusion, LabelFigures
from kefu.intent.folder import About, load_kernel, read_about, save_kernel
from kefu.intent.loading import load
from kefu.intent.training import save, train
from tests.fakes import HashingEncoder
from tests.intent.small_models import STRANGE, TEXTS, examples, save_model, trained

QUESTIONS = [*(text for texts in TEXTS.values() for text in texts), *STRANGE, "", "𝒳" * 600]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model")
    return tmp_path / "model"


def test_what_is_read_back_predicts_the_same(folder: Path):
    vectors = HashingEncoder().encode(QUESTIONS)
    before = trained().classifier.classify(QUESTIONS, vectors)
    classifier, about = load(folder)
    after = classifier.classify(QUESTIONS, vectors)
    assert [p.label for p in after] == [p.label for p in before]
    for found, expected in zip(after, before, strict=True):
        # Vectors and weights of wording are kept in half precision.
        assert found.score == pytest.approx(expected.score, abs=1e-2)
        assert found.out_of_scope == pytest.approx(expected.out_of_scope, abs=1e-2)
    assert classifier.labels == about.labels == tuple(sorted(TEXTS))
    assert classifier.encoder_id == about.encoder_id == HashingEncoder.id


def test_all_that_is_known_of_it_is_read_back(folder: Path):
    about, made = read_about(folder), trained()
    assert about.figures == made.figures
    assert about.trade_offs == made.trade_offs
    assert about.calibration == made.classifier.calibration
    assert (about.kind, about.examples) == ("kernel", len(examples()))
    assert about.trained_on == digest(reversed(examples())) == made.data_sha256
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", about.created_at)


def test_a_model_that_was_not_measured_is_read_back(tmp_path: Path):
    about = replace(_about(), figures=None, trade_offs=())
    save_kernel(trained().classifier, about, tmp_path / "model")
    assert read_about(tmp_path / "model").figures is None
    assert "Nothing was measured" in (tmp_path / "model" / "card.md").read_text("utf-8")


# Refused.


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model.json").read_text("utf-8"))


def rewrite(folder: Path, **changes: Any) -> None:
    text = json.dumps({**manifest_of(folder), **changes})
    (folder / "model.json").write_text(text, "utf-8")


def replace_weights(folder: Path, data: bytes) -> None:
    """With its right checksum: as somebody who means it would."""
    (folder / "weights.npz").write_bytes(data)
    rewrite(folder, files={"weights.npz": hashlib.sha256(data).hexdigest()})


def replace_arrays(folder: Path, **changes: Any) -> None:
    with np.load(folder / "weights.npz") as found:
        arrays = {name: found[name] for name in found.files} | changes
    stream = io.BytesIO()
    np.savez(stream, **{name: array for name, array in arrays.items() if array is not None})
    replace_weights(folder, stream.getvalue())


def cut(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def zipped(method: int, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def torn_inside(folder: Path) -> bytes:
    """An archive whose directory is whole and whose contents are not."""
    data = bytearray((folder / "weights.npz").read_bytes())
    data[200:1200] = bytes(1000)
    return bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "model.json cut off": (lambda f: cut(f, "model.json"), "model.json cannot be read"),
    "model.json empty": (lambda f: (f / "model.json").write_bytes(b""), "model.json cannot"),
    "model.json not UTF-8": (lambda f: (f / "model.json").write_bytes(b"{\xff}"), "cannot be read"),
    "model.json a list": (lambda f: (f / "model.json").write_text("[1]"), "not one of kefu's"),
    "model.json of something else": (
        lambda f: (f / "model.json").write_text('{"model_type": "bert"}'), "not one of kefu's",
    ),
    "no labels": (lambda f: rewrite(f, labels=None), "labels: Input should be"),
    "no calibration": (lambda f: rewrite(f, calibration={}), "calibration.temperature: Field required"),
    "figures of another kind": (lambda f: rewrite(f, figures={"labels": []}), "figures.accuracy: Field required"),
    "no files": (lambda f: rewrite(f, files=None), "does not say of which files"),
    "weights.npz cut off": (lambda f: cut(f, "weights.npz"), "not the file that was written"),
    "weights.npz changed": (
        lambda f: (f / "weights.npz").write_bytes(torn_inside(f)), "not the file that was written",
    ),
    "weights.npz missing": (lambda f: (f / "weights.npz").unlink(), "weights.npz cannot be read"),
    "weights.npz a folder": (
        lambda f: ((f / "weights.npz").unlink(), (f / "weights.npz").mkdir()), "cannot be read",
    ),
    "no npz": (lambda f: replace_weights(f, b"no archive"), "weights.npz cannot be read"),
    "an empty file": (lambda f: replace_weights(f, b""), "weights.npz cannot be read"),
    "one array": (lambda f: replace_weights(f, npy(np.zeros(3))), "weights.npz cannot be read"),
    "torn inside": (lambda f: replace_weights(f, torn_inside(f)), "weights.npz cannot be read"),
    "no arrays in it": (lambda f: replace_weights(f, zipped(0, vectors=b"abc")), "lacks"),
    "another compression": (
        lambda f: replace_weights(f, zipped(zipfile.ZIP_LZMA, **{"a.npy": b"x"})), "weights.npz",
    ),
    "an array missing": (lambda f: replace_arrays(f, words_idf=None), "lacks 'words_idf'"),
    "terms that are no text": (
        lambda f: replace_arrays(f, words_terms=np.array([255, 254], np.uint8)), "lacks",
    ),
    "fewer vectors": (lambda f: replace_arrays(f, vectors=np.zeros((3, 128))), "do not fit"),
    "flat vectors": (lambda f: replace_arrays(f, vectors=np.zeros(128)), "do not fit"),
    "vectors of letters": (lambda f: replace_arrays(f, vectors=np.array(["a"])), "lacks"),
    "another label": (lambda f: rewrite(f, labels=[*TEXTS, "more"]), "do not fit"),
    "a word missing": (
        lambda f: replace_arrays(f, words_terms=np.frombuffer(b"a\nb", np.uint8)), "do not fit",
    ),
    "a word without weight": (
        lambda f: replace_arrays(f, words_idf=np.zeros(2, np.float32)), "do not fit",
    ),
    "coefficients of letters": (
        lambda f: replace_arrays(f, coefficients=np.full(_shape(f), "x")), "does not run",
    ),
    "a calibration of another model": (
        lambda f: rewrite(f, calibration={**manifest_of(f)["calibration"], "weights": [1, 2]}),
        "calibration.weights.2: Field required",
    ),
    "another kind": (lambda f: rewrite(f, kind="magic"), "'magic', which this kefu"),
}  # fmt: skip


def _shape(folder: Path) -> tuple[int, ...]:
    with np.load(folder / "weights.npz") as found:
        return found["coefficients"].shape


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_refused_with_a_reason(folder: Path, name: str):
    damage, reason = DAMAGES[name]
    damage(folder)
    with pytest.raises(ModelCorrupt, match=re.escape(reason)) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_another_format_says_who_wrote_it_and_what_to_do(folder: Path):
    rewrite(folder, format=2, kefu="9.0")
    with pytest.raises(ModelCorrupt, match=r"written by kefu 9\.0 in format 2.*intent train"):
        load(folder)


def test_more_than_we_know_of_a_model_is_no_fault(folder: Path):
    rewrite(folder, colour="blue")
    load(folder)


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir, Path.touch], ids=str)
def test_a_folder_without_a_model_is_told_from_a_damaged_one(tmp_path: Path, make):
    path = tmp_path / "nothing"
    make(path)
    with pytest.raises((ModelMissing, ModelCorrupt)) as caught:
        load(path)
    assert path.is_file() == (caught.type is ModelCorrupt)


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "it ran"))


PICKLES: dict[str, Callable[[Path, Bomb], None]] = {
    "as an array": lambda f, bomb: replace_arrays(f, vectors=np.array([bomb], dtype=object)),
    "as a member": lambda f, bomb: replace_weights(
        f, zipped(zipfile.ZIP_STORED, **{"vectors.npy": pickle.dumps(bomb)})
    ),
    "alone": lambda f, bomb: replace_weights(f, pickle.dumps(bomb)),
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_is_never_loaded(folder: Path, tmp_path: Path, name: str):
    written = tmp_path / "written"
    PICKLES[name](folder, Bomb(written))
    with pytest.raises(ModelCorrupt):
        load(folder)
    assert not written.exists()
    pickle.loads(pickle.dumps(Bomb(written)))
    assert written.read_text() == "it ran"  # so it would have


# Written.


def test_what_is_there_is_never_overwritten(folder: Path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InvalidInput, match="exists already"):
        save_model(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    empty = folder.with_name("empty")
    empty.mkdir()
    with pytest.raises(InvalidInput, match="exists already"):
        save_model(empty)
    assert list(empty.iterdir()) == []


def test_what_appears_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "model"

    def write_manifest(draft: Path, *_: Any) -> None:
        target.mkdir(exist_ok=True)
        (target / "mine").write_text("mine")

    monkeypatch.setattr(folder_module, "write_manifest", write_manifest)
    with pytest.raises(InvalidInput, match="exists already"):
        save_model(target)
    assert [path.name for path in target.iterdir()] == ["mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a bug")])
def test_a_save_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(folder_module, "write_card", fail)
    with pytest.raises((InvalidInput, ValueError)) as caught:
        save_model(tmp_path / "model")
    if isinstance(error, OSError):
        assert "No space left on device" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="Cannot write"):
        save_model(tmp_path / "file" / "model")


def test_folders_on_the_way_are_made_and_a_copy_is_as_good(tmp_path: Path):
    save_model(tmp_path / "a" / "b" / "model")
    shutil.copytree(tmp_path / "a" / "b" / "model", tmp_path / "copy")
    load_kernel(tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "card.md",
        "model.json",
        "weights.npz",
    ]


# The card.


def _about() -> About:
    made = trained()
    return About(
        kind="kernel",
        labels=made.classifier.labels,
        encoder_id=made.classifier.encoder_id,
        trained_on=made.data_sha256,
        examples=made.examples,
        false_rejections=made.false_rejections,
        seconds=made.seconds,
        figures=made.figures,
        trade_offs=made.trade_offs,
        calibration=made.classifier.calibration,
        tested_on="held-out texts",
        created_at="2026-01-31T09:30:00+00:00",
    )


def test_the_card_says_what_it_was_made_of_and_how_good_it_is(folder: Path):
    about = read_about(folder)
    card = (folder / "card.md").read_text("utf-8")
    assert f"Made {about.created_at} by kefu {about.kefu}" in card
    assert f"`{about.trained_on}`" in card
    assert f"{about.calibration.threshold:.4f}" in card
    assert HashingEncoder.id in card
    assert about.figures
    assert about.figures.confusions
    for label in about.figures.labels:
        assert f"| {label.label} | {label.examples} | {100 * label.precision:.1f}% |" in card
    for pair in about.figures.confusions[:15]:
        assert f"| {pair.label} | {pair.predicted} | {pair.count} |" in card
    assert card.count("\n| 0.") + card.count("\n| 1.") == len(about.trade_offs)
    weakest = min(about.figures.labels, key=lambda found: found.f1)
    first = card.split("| intent | texts | precision | recall | F1 |\n|---|---|---|---|---|\n| ")[1]
    assert first.startswith(weakest.label)


def test_a_label_cannot_break_the_tables():
    label = "a|b"
    figures = replace(
        trained().figures,
        labels=(LabelFigures(label, 3, 1.0, 1.0, 1.0),),
        confusions=(Confusion(label, "c|d", 2),),
    )
    data = {**vars(_about()), "figures": asdict(figures), "trade_offs": (), "created_at": "now"}
    data["calibration"] = {"threshold": 0.5}
    card = write_card(data)
    assert r"| a\|b | 3 | 100.0% | 100.0% | 100.0% |" in card
    assert r"| a\|b | c\|d | 2 |" in card


def test_a_card_without_out_of_scope_examples_says_so(tmp_path: Path):
    encoder = HashingEncoder()
    made = train(examples(strange=False), encoder.encode, encoder.id)
    save(made, tmp_path / "model")
    card = (tmp_path / "model" / "card.md").read_text("utf-8")
    assert "No out-of-scope examples were given" in card
    assert "| out-of-scope texts found | - |" in card
