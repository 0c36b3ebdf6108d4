"""The gateway: the same customer comes to the same desk, also while desks come, go and die."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

import httpx
import pytest

from tests.e2e.desk_process import wait_until
from tests.echo_desks import EchoDesk, Got, echo_desks, response
from tests.nginx import Gateway, started_nginx

UIDS = ("ann", "客户-42", "🙂 née O'Neil+1", "50% off; a=b&c", '"quoted"', "a" * 128)
MANY = tuple(f"客户-{number}" for number in range(1200))


def desk_of(client: httpx.Client, uid: str) -> int:
    return int(client.get("/chat/history", headers={"X-Uid": quote(uid)}).text)


def desks_of(gateway: Gateway) -> dict[str, int]:
    with gateway.client() as client:
        return {uid: desk_of(client, uid) for uid in MANY}


WAYS: Mapping[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "raw header": lambda client, uid: client.get(
        "/chat/history", headers={b"X-Uid": uid.replace("%", "%25").encode()}
    ),
    "query": lambda client, uid: client.get(f"/chat/updates?after=7&uid={quote(uid)}"),
    "query of a form": lambda client, uid: client.get(f"/chat/history?uid={quote_plus(uid)}"),
    "cookie": lambda client, uid: client.post(
        "/chat", headers={"Cookie": f"a=b; kefu_uid={quote(uid)}"}
    ),
    "JSON": lambda client, uid: client.post(
        "/chat", content=json.dumps({"uid": uid, "message": "喂"}, ensure_ascii=False).encode()
    ),
    "JSON of ASCII": lambda client, uid: client.post(
        "/chat/rating", content=json.dumps({"turn_id": "x", "uid": uid}, indent=3)
    ),
    "OpenAI's": lambda client, uid: client.post(
        "/v1/chat/completions", json={"user": uid, "messages": [{"role": "user", "content": "hi"}]}
    ),
    "in pieces": lambda client, uid: client.post(
        "/chat", content=iter([b'{"uid": ', json.dumps(uid).encode(), b"}"])
    ),
    "just below the limit": lambda client, uid: client.post(
        "/chat",
        content=json.dumps({"message": "x" * 64_000, "uid": uid}),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_uid_finds_its_desk_whichever_way_it_comes(gateway: Gateway, way: str):
    with gateway.client() as client:
        for uid in UIDS:
            assert int(WAYS[way](client, uid).text) == desk_of(client, uid), uid


def test_the_desks_get_about_as_many_customers_each(gateway: Gateway, desks: list[EchoDesk]):
    counted = Counter(desks_of(gateway).values())
    assert set(counted) == {desk.port for desk in desks}
    assert max(counted.values()) < 1.35 * len(MANY) / len(desks)


NOBODY = {
    "no body": b"",
    "no JSON": b'{"uid": "ann"',
    "no text": b"\xff\xfe\x00",
    "no object": b'["uid"]',
    "no uid": b'{"messages": []}',
    "a number": b'{"uid": 5}',
    "nothing": b'{"uid": null}',
    "an empty one": b'{"uid": ""}',
    "half a character": b'{"uid": "\\ud800"}',
    "nested deeply": b'{"uid": ' + b"[" * 30_000,
}


@pytest.mark.parametrize("kind", NOBODY)
def test_what_names_nobody_is_passed_on_as_it_is_and_spread(
    gateway: Gateway, desks: list[EchoDesk], kind: str
):
    with gateway.client() as client:
        seen = {int(client.post("/chat", content=NOBODY[kind]).text) for _ in range(60)}
    assert seen == {desk.port for desk in desks}
    assert all(desk.got[-1].body == NOBODY[kind] for desk in desks)


def test_who_manages_the_shop_reads_what_he_wrote(gateway: Gateway):
    """One desk sees a change at once, the others within a second."""
    with gateway.client() as client:
        assert len({client.get("/api/knowledge").text for _ in range(30)}) == 1


def test_an_added_and_a_removed_desk_move_few_customers():
    with echo_desks(4) as desks:
        ports = [desk.port for desk in desks]
        with started_nginx(ports[:3]) as gateway:
            three = desks_of(gateway)
            gateway.write_desks(ports)
            gateway.reload()
            four = desks_of(gateway)
            gateway.write_desks([ports[2], ports[0], ports[3]])
            gateway.reload()
            without = desks_of(gateway)
    came = {uid for uid in MANY if three[uid] != four[uid]}
    went = {uid for uid in MANY if four[uid] != without[uid]}
    print(f"moved: added {len(came) / len(MANY):.3f}, removed {len(went) / len(MANY):.3f}, n = 4")
    assert 0 < len(came) / len(MANY) <= 1.3 / 4
    assert 0 < len(went) / len(MANY) <= 1.3 / 4
    assert {four[uid] for uid in came} == {ports[3]}
    assert {four[uid] for uid in went} == {ports[1]}


def test_a_killed_desk_s_customers_go_elsewhere_at_once_and_come_back():
    with echo_desks(3) as desks:
        ports = [desk.port for desk in desks]
        with started_nginx(ports) as gateway, gateway.client() as client:
            before = {uid: desk_of(client, uid) for uid in MANY[:60]}
            desks[0].kill()
            during = {uid: client.post("/chat", json={"uid": uid}) for uid in before}
            assert {answer.status_code for answer in during.values()} == {200}
            for uid, port in before.items():
                went = int(during[uid].text)
                assert went != port if port == ports[0] else went == port
            desks[0].start()
            wait_until(
                lambda: {uid: desk_of(client, uid) for uid in before} == before, "all are back"
            )


async def die(got: Got, reader: object, writer: object) -> None:
    """As a desk that is killed while it answers."""
    raise ConnectionResetError


def test_a_message_that_was_sent_is_never_sent_to_another_desk():
    with echo_desks(3) as desks:
        for desk in desks:
            desk.answers["/chat"] = die
        with started_nginx([desk.port for desk in desks]) as gateway, gateway.client() as client:
            answer = client.post("/chat", json={"uid": "ann"}, headers={"Idempotency-Key": "k"})
        assert [len(desk.got) for desk in desks].count(0) == 2
        assert sum(len(desk.got) for desk in desks) == 1
    assert (answer.status_code, answer.json()["code"]) == (502, "no_desk")
    assert answer.headers["retry-after"] == "2"


def test_ready_is_who_has_a_desk_that_is_ready():
    async def unready(got: Got, reader: object, writer: object) -> None:
        writer.write(response(503, '{"status": "unavailable"}'))

    with (
        echo_desks(2) as desks,
        started_nginx([desk.port for desk in desks]) as gateway,
        gateway.client() as client,
    ):
        desks[0].answers["/readyz"] = unready
        assert {client.get("/readyz").status_code for _ in range(6)} == {200}
        # That it is not ready is for itself to say to customers.
        assert set(desks_of(gateway).values()) == {desk.port for desk in desks}
        desks[1].answers["/readyz"] = unready
        refused = client.get("/readyz")
    assert (refused.status_code, refused.json()["detail"]) == (503, "No desk is ready.")
