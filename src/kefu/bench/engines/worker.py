"""An engine in a process of its own, so that its memory is its own: `python -m` this.

Lines of JSON: a `Setting` first, answered with `{"ready": seconds}` or `{"missing": why}`; then
`{"prompts": [...], "tokens": n}`, answered with a list of `Stream`s, until standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kefu.bench.engines.ways import WAYS, Setting
from kefu.errors import KefuError
from kefu.settings import LogSettings
from kefu.telemetry import configure_logging


def main() -> None:
    # Libraries print; what is read from us is ours alone.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(what: Any) -> None:
        print(json.dumps(what), file=out, flush=True)

    configure_logging(LogSettings(level="error"))  # what goes wrong is told
    given = json.loads(sys.stdin.readline())
    setting = Setting(**{**given, "model": Path(given["model"])})
    began = time.perf_counter()
    try:
        with WAYS[sys.argv[1]](setting) as answer:
            tell({"ready": time.perf_counter() - began})
            for line in sys.stdin:
                asked = json.loads(line)
                tell([asdict(one) for one in answer(asked["prompts"], asked["tokens"])])
    except KefuError as error:
        tell({"missing": str(error)})


if __name__ == "__main__":
    main()
