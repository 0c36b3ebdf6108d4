"""Who is whose: by name and weight alone, the same in every desk."""

from collections import Counter

import pytest

from kefu.inference.generator.affinity import SESSION_HEADERS, score, session_headers

UIDS = [f"customer-{number}" for number in range(10_000)]


def owners(weights: dict[str, float]) -> dict[str, str]:
    return {uid: max(weights, key=lambda name: score(uid, name, weights[name])) for uid in UIDS}


@pytest.mark.parametrize("before", [1, 2, 3, 7])
def test_one_more_takes_its_share_and_nobody_else_moves(before: int):
    names = [f"gpu-{number}:8000" for number in range(before)]
    old = owners(dict.fromkeys(names, 1.0))
    new = owners(dict.fromkeys([*names, "new:8000"], 1.0))

    moved = [uid for uid in UIDS if old[uid] != new[uid]]
    assert {new[uid] for uid in moved} == {"new:8000"}
    fair = 1 / (before + 1)
    assert 0.7 * fair < len(moved) / len(UIDS) < 1.3 * fair


def test_a_share_is_as_large_as_its_weight():
    weights = {"small": 1.0, "middle": 2.0, "large": 5.0}
    count = Counter(owners(weights).values())
    for name, weight in weights.items():
        assert count[name] / len(UIDS) == pytest.approx(weight / 8, rel=0.1)


def test_a_weight_that_changes_moves_only_to_or_from_that_one():
    old, new = owners({"a": 1, "b": 1, "c": 1}), owners({"a": 1, "b": 1, "c": 2})
    assert {new[uid] for uid in UIDS if old[uid] != new[uid]} == {"c"}


def test_those_without_weight_come_last_and_share_among_themselves():
    ranks = [
        sorted("abcd", key=lambda name: score(uid, name, float(name in "ab")), reverse=True)
        for uid in UIDS[:1000]
    ]
    assert all({"a", "b"} == set(rank[:2]) for rank in ranks)
    assert {rank[2] for rank in ranks} == {"c", "d"}


def test_any_text_is_a_session():
    for session in ("", "客服", "\ud800", "\0", "x" * 128):
        assert score(session, "host", 1.0)[0] > 0


def test_a_router_is_told_a_hash_that_stays():
    uid = "13812345678"
    headers = session_headers(uid)
    assert set(headers) == set(SESSION_HEADERS)
    assert headers == session_headers(uid) != session_headers("13812345679")
    assert all(uid not in value and value.isalnum() for value in headers.values())
    assert session_headers("") == {}
    assert session_headers("\ud800")


def test_a_hash_does_not_tell_which_number_it_was():
    """Whoever tries every number finds many with the same hash: 24 bits for 10 billion numbers."""
    (value,) = set(session_headers("13812345678").values())
    assert 10**10 / 16 ** len(value) > 100
    many = {session_headers(uid)["X-Session-ID"] for uid in UIDS[:1000]}
    assert len(many) > 990
