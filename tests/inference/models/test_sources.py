from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kefu.inference.models.sources import Source, SourceFailed, fetch, parse_source

from .making import Hub, make_wheel


def quiet(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("pypi:a-b==1.0+cpu#c/d.bin", Source("pypi", "a-b==1.0+cpu", "", "c/d.bin")),
        ("pypi:a==1.0@win_amd64#b", Source("pypi", "a==1.0", "win_amd64", "b")),
        ("hf:o/r@v1#d/f.gguf", Source("hf", "o/r", "v1", "d/f.gguf")),
        ("hf:o/r#f", Source("hf", "o/r", "", "f")),
        ("modelscope:o/r.x@master#f", Source("modelscope", "o/r.x", "master", "f")),
        ("file:models/m.gguf", Source("file", "/here/models/m.gguf")),
        ("file:/a b/#1.gguf", Source("file", "/a b/#1.gguf")),
        ("file:///a%20b/m.gguf", Source("file", "/a b/m.gguf")),
    ],
)
def test_reads_every_scheme(text: str, source: Source) -> None:
    assert parse_source(text, Path("/here")) == source


def test_takes_one_member_out_of_a_wheel(shelf: Path, tmp_path: Path) -> None:
    make_wheel(shelf, "some_model", {"some_model/a.bin": b"weights", "some_model/b.py": b"1/0"})
    (tmp_path / "got").mkdir()
    target = tmp_path / "got" / "a"
    fetch(parse_source("pypi:some-model==1.0#some_model/a.bin", tmp_path), target, quiet)
    assert target.read_bytes() == b"weights"
    assert list(target.parent.iterdir()) == [target]


def test_a_wheel_of_another_platform_is_fetched_where_it_is_asked_for(
    shelf: Path, tmp_path: Path
) -> None:
    wheel = make_wheel(shelf, "native", {"native/a.bin": b"weights"})
    wheel.rename(shelf / "native-1.0-py3-none-plan9_riscv64.whl")
    target = tmp_path / "a.bin"
    with pytest.raises(SourceFailed, match=r"native==1\.0"):
        fetch(parse_source("pypi:native==1.0#native/a.bin", tmp_path), target, quiet)
    fetch(parse_source("pypi:native==1.0@plan9_riscv64#native/a.bin", tmp_path), target, quiet)
    assert target.read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("pypi:some-model==1.0#some_model/c.bin", "has no file some_model/c.bin"),
        ("pypi:some-model==2.0#some_model/a.bin", "pip: .*some-model==2.0"),
        ("pypi:liar==1.0#liar/a.bin", "does not match the sum in liar"),
        ("pypi:broken==1.0#a", "pip: .*|damaged"),
        ("file:nowhere.gguf", "no such file"),
        ("file:.", "directory"),
    ],
)
def test_says_why_and_leaves_nothing(shelf: Path, tmp_path: Path, wanted: str, said: str) -> None:
    make_wheel(shelf, "some_model", {"some_model/a.bin": b"weights"})
    make_wheel(shelf, "liar", {"liar/a.bin": b"weights"}, lie=True)
    (shelf / "broken-1.0-py3-none-any.whl").write_bytes(b"not a zip")
    folder = tmp_path / "got"
    folder.mkdir()
    with pytest.raises(SourceFailed, match=said):
        fetch(parse_source(wanted, tmp_path), folder / "a", quiet)
    assert list(folder.iterdir()) == []


def test_environment_without_pip_is_told_how_to_get_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "import importlib.util as u; real = u.find_spec\n"
        "from pathlib import Path\n"
        "from kefu.inference.models.sources import fetch, parse_source, SourceFailed\n"
        "sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "try: fetch(parse_source('pypi:a==1#b', Path('/')), Path(sys.argv[2]) / 'x', print)\n"
        "except SourceFailed as error: print(error)\n"
    )
    packages = ":".join(path for path in sys.path if path)
    said = subprocess.run(
        [tmp_path / "bare" / "bin" / "python", "-c", code, packages, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "pip is missing" in said
    assert "ensurepip" in said


FETCH = """
import sys
from pathlib import Path
from kefu.inference.models.sources import SourceFailed, fetch, parse_source
seen = []
try:
    fetch(parse_source(sys.argv[1], Path("/")), Path(sys.argv[2]), lambda *n: seen.append(n))
except SourceFailed as error:
    print("FAILED", error)
print("SEEN", seen[-1:])
"""


def fetch_in_child(source: str, target: Path, hub: Hub, **env: str) -> str:
    """In a process of its own: the hubs' libraries read their endpoint when imported."""
    home = {"HF_HOME": f"{target}.home", "MODELSCOPE_CACHE": f"{target}.home"}
    hubs = {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": hub.url, "MODELSCOPE_DOMAIN": hub.url}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, source, target],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **home, **hubs, **env},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


HUBS = ["hf:owner/repo@main#folder/file.bin", "modelscope:owner/repo@master#folder/file.bin"]


@pytest.mark.parametrize("source", HUBS)
def test_official_library_fetches(source: str, hub: Hub, tmp_path: Path) -> None:
    said = fetch_in_child(source, tmp_path / "got", hub)
    assert (tmp_path / "got").read_bytes() == hub.content
    assert not (tmp_path / "got.hub").exists()
    if source.startswith("hf:"):
        assert f"SEEN [({len(hub.content)}, {len(hub.content)})]" in said


@pytest.mark.parametrize("source", HUBS)
def test_official_library_resumes(source: str, hub: Hub, tmp_path: Path) -> None:
    hub.failures = 1
    hub.content = os.urandom(24_000_000)  # Hugging Face's library writes 10 MB at a time
    said = fetch_in_child(source, tmp_path / "got", hub)
    if "FAILED" in said:
        fetch_in_child(source, tmp_path / "got", hub)
    assert (tmp_path / "got").read_bytes() == hub.content
    spans = [span for method, path, span in hub.requests if method == "GET" and span]
    assert any(not span.startswith("bytes=0-") for span in spans)


@pytest.mark.parametrize("source", HUBS)
def test_hub_without_the_file_gives_a_reason(source: str, hub: Hub, tmp_path: Path) -> None:
    said = fetch_in_child(source.replace("file.bin", "other"), tmp_path / "got", hub)
    assert "FAILED " in said
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(("source", "extra"), [(HUBS[0], "huggingface"), (HUBS[1], "modelscope")])
def test_missing_extra_is_named(source: str, extra: str, hub: Hub, tmp_path: Path) -> None:
    """A package that raises ImportError stands for one that is not installed."""
    package = tmp_path / "shadow" / source.partition(":")[0].replace("hf", "huggingface_hub")
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not here')")
    said = fetch_in_child(source, tmp_path / "got", hub, PYTHONPATH=str(package.parent))
    assert f'FAILED needs `pip install "kefu[{extra}]"`' in said
