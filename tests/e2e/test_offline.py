"""After the models are there, nothing needs a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import BUSY_MACHINE, KEFU, kefu_environment, wait_until

pytestmark = pytest.mark.models

# A user and a network namespace of its own: loopback and nothing else.
ALONE = ("unshare", "--user", "--map-root-user", "--net", "--", "sh", "-c")
LOOPBACK_UP = 'ip link set lo up && exec "$@"'
HAS_NAMESPACES = (
    sys.platform == "linux"
    and all(map(shutil.which, ("unshare", "ip")))
    and subprocess.run(
        [*ALONE, LOOPBACK_UP, "sh", "true"], capture_output=True, check=False
    ).returncode
    == 0
)


@pytest.mark.skipif(not HAS_NAMESPACES, reason="no network namespace can be made here")
def test_without_a_network_a_desk_starts_and_answers(new_desk: NewDesk, tmp_path: Path):
    desk = new_desk(prefix=(*ALONE, LOOPBACK_UP, "sh"))
    desk.launch()
    wait_until(lambda: desk.require_alive() or "kefu is ready" in desk.log, "a banner", 90)
    inside = ("nsenter", "--preserve-credentials", "--user", "--net", "-t", str(desk.pid))
    assert _run(*inside, "ip", "route") == ""
    command = (*inside, str(KEFU), "chat", "--url", desk.origin, "--json")
    reply = json.loads(_run(*command, "怎么申请退货？"))
    assert reply["source"] == "faq"
    near = json.loads(_run(*command, "我想退货但是不想出运费怎么弄"))
    assert near["reply"]
    desk.stop()
    assert desk.processes() == []


def _run(*command: str) -> str:
    result = subprocess.run(
        command,
        env=kefu_environment(BUSY_MACHINE),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
