from __future__ import annotations

import multiprocessing
import re
import sys

import pytest

from kefu.stamps import new_id


def test_ids_are_32_digits_and_never_twice() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in ids)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_a_forked_process_gives_others() -> None:
    new_id()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        theirs = pool.starmap(new_id, [()] * 300)
    assert not {new_id() for _ in range(300)} & set(theirs)
