"""Commands run in this process, as people type them."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from kefu import cli


@dataclass(frozen=True)
class Ran:
    """How a command ended. What it says to people goes to `err`, results to `out`."""

    code: int
    out: str
    err: str

    def ok(self) -> str:
        assert self.code == 0, self.err
        return self.out

    def json(self, code: int = 0) -> Any:
        assert self.code == code, self.err
        return json.loads(self.out)

    def failed(self, code: int, *words: str) -> None:
        assert self.code == code, self.out + self.err
        assert self.out == ""
        said = " ".join(self.err.split())
        assert "kefu: " in said
        assert all(word in said for word in words), said


Run = Callable[..., Ran]


@contextmanager
def commands(data_dir: Path, *noun: str) -> Iterator[Run]:
    """`run(*arguments, stdin=...)` runs `kefu --data-dir DATA_DIR NOUN arguments`.

    Commands set up logs, which are of the whole process: they are as before at the end.
    """
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "300")

        def run(*arguments: str | Path, stdin: str | bytes = b"") -> Ran:
            command = ["kefu", "--data-dir", str(data_dir), *noun, *map(str, arguments)]
            given = stdin.encode() if isinstance(stdin, str) else stdin
            out, err = io.StringIO(), io.StringIO()
            patch.setattr(sys, "argv", command)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                cli.main()
            return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())

        yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)
