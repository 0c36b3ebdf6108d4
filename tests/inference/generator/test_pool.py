"""The rules of a pool, with servers that do what a test tells them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing

import pytest

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.inference.generator.admission import Admission
from kefu.inference.generator.affinity import session_headers
from kefu.inference.generator.breaker import FAILURES
from kefu.inference.generator.pool import UpstreamPool
from kefu.inference.generator.protocol import Prompt, PromptRefused
from kefu.inference.generator.upstream import Upstream
from kefu.settings import GeneratorSettings, UpstreamSettings

from . import upstream as scripted
from .conftest import eventually
from .upstream import Exchange, Wire

Server = scripted.Upstream
MakePool = Callable[..., UpstreamPool]


def says(text: str) -> Exchange:
    async def say(wire: Wire) -> None:
        await wire.head()
        await wire.text(text)
        await wire.end()

    return say


async def hang_up(wire: Wire) -> None:
    wire.reset()


async def stay_silent(wire: Wire) -> None:
    await wire.gone.wait()


async def die_after_a_word(wire: Wire) -> None:
    await wire.head()
    await wire.text("half")
    wire.reset()


def refuses(status: int, retry_after: int | None = None) -> Exchange:
    extra = b"" if retry_after is None else b"Retry-After: %d\r\n" % retry_after
    return lambda wire: wire.refuse(status, b"{}", extra)


@pytest.fixture
async def new_pool(metrics) -> AsyncIterator[MakePool]:
    async with AsyncExitStack() as stack:

        def make(*servers: Server | UpstreamSettings, **given) -> UpstreamPool:
            upstreams = tuple(
                one if isinstance(one, UpstreamSettings) else UpstreamSettings(url=one.url)
                for one in servers
            )
            pool = UpstreamPool(GeneratorSettings(upstreams=upstreams, **given), metrics)
            stack.push_async_callback(pool.aclose)
            return pool

        yield make


def of(pool: UpstreamPool, server: Server) -> Upstream:
    return next(one for one in pool.upstreams if server.url.endswith(one.name))


def customer_of(pool: UpstreamPool, *servers: Server) -> str:
    """One whose first choices are `servers`, in this order."""
    wanted = [of(pool, server) for server in servers]
    uids = (f"uid-{number}" for number in range(10_000))
    return next(uid for uid in uids if pool.rank(uid)[: len(wanted)] == wanted)


async def answer(pool: UpstreamPool, session: str = "", heard: list[str] | None = None) -> str:
    """The whole text; `heard` has its pieces also where it ends in an error."""
    heard = [] if heard is None else heard
    async with aclosing(pool.stream(Prompt(text="x"), max_tokens=4, session=session)) as pieces:
        async for piece in pieces:
            heard.append(piece.text)
    return "".join(heard)


async def test_a_customer_keeps_the_server_and_it_is_told_a_hash(upstream, new_pool):
    servers = [await upstream(says(name)) for name in "abc"]
    pool = new_pool(*servers)

    for uid in ("ann", "ben", "eve"):
        assert len({await answer(pool, uid) for _ in range(3)}) == 1
    requests = [request for server in servers for request in server.requests]
    told = {request.headers["x-session-id"] for request in requests}
    assert told == {session_headers(uid)["X-Session-ID"] for uid in ("ann", "ben", "eve")}
    assert all(r.headers["x-smg-routing-key"] == r.headers["x-session-id"] for r in requests)


async def test_each_has_its_key_and_model_or_those_of_all(upstream, new_pool):
    first, second = await upstream(says("a")), await upstream(says("b"))
    pool = new_pool(
        UpstreamSettings(url=first.url, api_key="own", model="its"),
        UpstreamSettings(url=second.url),
        api_key="common",
        upstream_model="all",
    )
    for server in (first, second):
        await answer(pool, customer_of(pool, server))

    assert first.requests[0].headers["authorization"] == "bearer own"
    assert first.requests[0].body["model"] == "its"
    assert second.requests[0].headers["authorization"] == "bearer common"
    assert second.requests[0].body["model"] == "all"


@pytest.mark.parametrize(
    "failure", [hang_up, refuses(500), refuses(503), refuses(401), refuses(404), refuses(429)]
)
async def test_before_the_first_token_the_next_is_asked(upstream, new_pool, failure):
    bad, good = await upstream(failure), await upstream(says("good"))
    pool = new_pool(bad, good)

    assert await answer(pool, customer_of(pool, bad)) == "good"
    assert bad.requests


async def test_after_the_first_token_a_failure_is_one(upstream, new_pool):
    bad, good = await upstream(die_after_a_word), await upstream(says("good"))
    pool, heard = new_pool(bad, good), []

    with pytest.raises(GeneratorUnavailable):
        await answer(pool, customer_of(pool, bad), heard)
    assert heard == ["half"]
    assert good.requests == []


async def test_a_prompt_that_one_refuses_is_put_to_no_other(upstream, new_pool):
    first, second = await upstream(refuses(400)), await upstream(says("b"))
    pool = new_pool(first, second)

    for _ in range(FAILURES + 1):
        with pytest.raises(PromptRefused):
            await answer(pool, customer_of(pool, first))
    assert second.requests == []
    assert of(pool, first).breaker.state == "closed"


async def test_who_fails_again_and_again_is_left_alone(upstream, new_pool, metrics):
    bad, good = await upstream(refuses(500)), await upstream(says("good"))
    pool = new_pool(bad, good)
    uid = customer_of(pool, bad)

    for _ in range(FAILURES + 2):
        assert await answer(pool, uid) == "good"
    assert len(bad.requests) == FAILURES
    name = of(pool, bad).name
    value = metrics.registry.get_sample_value
    assert value("kefu_upstream_breaker", {"upstream": name}) == 2
    counted = {"upstream": name, "outcome": "failed"}
    assert value("kefu_upstream_requests_total", counted) == FAILURES
    counted = {"upstream": of(pool, good).name, "outcome": "answered"}
    assert value("kefu_upstream_requests_total", counted) == FAILURES + 2


async def test_the_pause_over_one_trial_brings_it_back(upstream, new_pool):
    server, other = (
        await upstream(*[refuses(500)] * FAILURES, says("back")),
        await upstream(says("o")),
    )
    pool = new_pool(server, other)
    uid = customer_of(pool, server)
    for _ in range(FAILURES):
        await answer(pool, uid)

    of(pool, server).breaker.try_now()
    assert await answer(pool, uid) == "back"
    assert of(pool, server).breaker.state == "closed"


async def test_customers_who_leave_are_no_failures(upstream, new_pool):
    server = await upstream(stay_silent)
    pool = new_pool(server)

    for number in range(FAILURES + 1):
        task = asyncio.create_task(answer(pool, "ann"))
        await eventually(lambda expected=number + 1: len(server.requests) == expected, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert of(pool, server).breaker.state == "closed"
    assert of(pool, server).open == 0


async def test_a_busy_one_is_left_alone_for_as_long_as_it_says(upstream, new_pool):
    busy, other = await upstream(refuses(429, 30)), await upstream(says("other"))
    pool = new_pool(busy, other)
    uid = customer_of(pool, busy)

    for _ in range(3):
        assert await answer(pool, uid) == "other"
    assert len(busy.requests) == 1
    assert of(pool, busy).breaker.state == "closed"


async def test_where_all_are_busy_the_shortest_wait_is_told(upstream, new_pool):
    servers = [await upstream(refuses(429, 40)), await upstream(refuses(503, 7))]
    pool = new_pool(*servers)

    for _ in range(2):
        with pytest.raises(Overloaded) as caught:
            await answer(pool, "ann")
        assert caught.value.retry_after_seconds == 7
    assert [len(server.requests) for server in servers] == [1, 1]


async def test_one_that_is_busy_and_one_that_is_broken_are_busy(upstream, new_pool):
    pool = new_pool(await upstream(refuses(500)), await upstream(refuses(429, 9)))

    with pytest.raises(Overloaded) as caught:
        await answer(pool, "ann")
    assert caught.value.retry_after_seconds == 9


async def test_a_silent_one_has_failed_where_there_is_another(upstream, new_pool):
    silent, other = await upstream(stay_silent), await upstream(says("other"))
    pool = new_pool(silent, other, first_token_seconds=0.05, idle_seconds=3600)

    async with asyncio.timeout(20):
        assert await answer(pool, customer_of(pool, silent)) == "other"


async def test_the_last_one_has_as_long_as_a_single_server(upstream, new_pool):
    """No server answers within a microsecond."""
    slow, bad = await upstream(says("late")), await upstream(refuses(500))
    pool = new_pool(slow, bad, first_token_seconds=1e-6)

    assert await answer(pool, customer_of(pool, bad)) == "late"


async def test_a_single_silence_is_given_up_as_ever(upstream, new_pool):
    pool = new_pool(await upstream(stay_silent), idle_seconds=0.05)

    with pytest.raises(GeneratorUnavailable, match="idle_seconds"):
        await answer(pool, "ann")


@pytest.fixture
async def slow(upstream):
    """Starts servers that write until they are told to end."""
    end = asyncio.Event()

    async def start(text: str) -> Server:
        async def write_slowly(wire: Wire) -> None:
            await wire.head()
            await wire.text(text)
            await end.wait()
            await wire.end()

        return await upstream(write_slowly)

    start.end = end
    yield start
    end.set()


async def test_a_full_one_is_passed_over_and_then_they_wait(slow, new_pool, metrics):
    first, second = await slow("1"), await slow("2")
    pool = new_pool(*(UpstreamSettings(url=one.url, max_open=1) for one in (first, second)))
    uid = customer_of(pool, first)

    answers = [asyncio.create_task(answer(pool, uid)) for _ in range(3)]
    await eventually(lambda: len(first.requests) == len(second.requests) == 1, 10)
    assert [one.open for one in pool.upstreams] == [1, 1]
    labels = {"upstream": of(pool, first).name}
    assert metrics.registry.get_sample_value("kefu_upstream_open_requests", labels) == 1
    slow.end.set()
    assert sorted(await asyncio.gather(*answers)) in (["1", "1", "2"], ["1", "2", "2"])
    assert [one.open for one in pool.upstreams] == [0, 0]


async def test_who_finds_no_room_in_time_is_told_to_come_again(slow, new_pool):
    server = await slow("1")
    pool = new_pool(UpstreamSettings(url=server.url, max_open=1), wait_seconds=0.05)
    writing = asyncio.create_task(answer(pool, "ann"))
    await eventually(lambda: server.requests, 10)

    with pytest.raises(Overloaded, match="max_open"):
        await answer(pool, "ben")
    slow.end.set()
    assert await writing == "1"


async def test_a_standby_is_asked_where_no_other_can(upstream, new_pool):
    own, standby = await upstream(says("own"), hang_up), await upstream(says("standby"))
    pool = new_pool(UpstreamSettings(url=standby.url, weight=0), own)

    assert await answer(pool, "ann") == "own"
    assert await answer(pool, "ann") == "standby"


async def test_without_a_session_the_least_busy_is_asked(slow, new_pool):
    small, large = await slow("small"), await slow("large")
    pool = new_pool(
        UpstreamSettings(url=small.url, weight=1), UpstreamSettings(url=large.url, weight=2)
    )
    answers = []
    for number in range(6):
        answers.append(asyncio.create_task(answer(pool)))
        await eventually(lambda n=number: sum(one.open for one in pool.upstreams) == n + 1, 10)
    assert (of(pool, small).open, of(pool, large).open) == (2, 4)
    slow.end.set()
    await asyncio.gather(*answers)


async def nobody_listens() -> Server:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return Server(url=f"http://127.0.0.1:{port}")


async def test_a_dead_one_is_known_before_a_customer_meets_it_and_used_when_it_is_back(
    upstream, new_pool, metrics
):
    dead, good = await nobody_listens(), await upstream(says("good"))
    pool = new_pool(dead, good)
    uid, away = customer_of(pool, dead), of(pool, dead)
    pool.start()
    await eventually(lambda: not away.is_up, 10)
    await pool.ping()
    labels = {"upstream": away.name}
    assert metrics.registry.get_sample_value("kefu_upstream_up", labels) == 0

    assert await answer(pool, uid) == "good"
    requests = {"upstream": away.name, "outcome": "failed"}
    assert metrics.registry.get_sample_value("kefu_upstream_requests_total", requests) is None

    back = Server([says("back")])
    port = int(dead.url.rpartition(":")[2])
    listening = await asyncio.start_server(back.serve, "127.0.0.1", port)
    try:
        await eventually(lambda: away.is_up, 10)
        assert await answer(pool, uid) == "back"
    finally:
        listening.close()
        await back.close()
        await listening.wait_closed()


async def test_one_that_was_away_need_not_wait_for_its_pause(upstream, new_pool, monkeypatch):
    monkeypatch.setattr("kefu.inference.generator.upstream.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("kefu.inference.generator.breaker.BACKOFF_SECONDS", (3600,))
    is_back = asyncio.Event()
    server = await upstream(lambda wire: says("back")(wire) if is_back.is_set() else hang_up(wire))
    pool = new_pool(server)
    for _ in range(FAILURES):
        with pytest.raises(GeneratorUnavailable):
            await answer(pool, "ann")
    assert of(pool, server).breaker.state == "open"
    pool.start()
    await eventually(lambda: not of(pool, server).is_up, 10)

    is_back.set()
    await eventually(lambda: of(pool, server).is_up, 10)
    assert await answer(pool, "ann") == "back"


async def test_to_be_busy_is_to_be_there(upstream, new_pool):
    pool = new_pool(await upstream(refuses(429, 5)))

    assert set((await pool.ask_all()).values()) == {"ok"}


async def test_a_failure_is_looked_into_at_once(upstream, new_pool, monkeypatch):
    monkeypatch.setattr("kefu.inference.generator.upstream.LOOK_SECONDS", 3600)
    models = [refuses(200), refuses(500)]
    bad, good = await upstream(models[0], hang_up, hang_up, models[1]), await upstream(says("good"))
    pool = new_pool(bad, good)
    pool.start()
    await eventually(lambda: bad.requests and good.requests, 10)

    assert await answer(pool, customer_of(pool, bad)) == "good"
    await eventually(lambda: not of(pool, bad).is_up, 10)


async def test_looks_that_are_wrong_keep_nobody_from_being_answered(upstream, new_pool):
    """A server under load, or one that has no list of its models, may fail every look."""
    server = await upstream(says("well"))
    pool = new_pool(server)
    of(pool, server).is_up = False

    assert await answer(pool, "ann") == "well"


async def test_who_is_away_is_said(new_pool):
    pool = new_pool(await nobody_listens(), await nobody_listens())

    with pytest.raises(GeneratorUnavailable) as caught:
        await answer(pool, "ann")
    for one in pool.upstreams:
        assert f"{one.name}: No answer" in str(caught.value)
    pool.start()
    await eventually(lambda: not any(one.is_up for one in pool.upstreams), 10)
    with pytest.raises(GeneratorUnavailable, match="does not answer"):
        await pool.ping()
    assert set((await pool.ask_all()).keys()) == {one.name for one in pool.upstreams}


async def test_the_line_in_front_passes_the_customer_on(upstream, new_pool, metrics):
    servers = [await upstream(says(name)) for name in "abc"]
    pool = new_pool(*servers)
    admission = Admission(pool, places=1, max_waiting=1, wait_seconds=1, metrics=metrics)
    uid = customer_of(pool, servers[2])

    async with aclosing(admission.stream(Prompt(text="x"), max_tokens=1, session=uid)) as pieces:
        assert [piece.text async for piece in pieces] == ["c", ""]


async def test_closing_ends_the_watch(upstream, new_pool):
    before = asyncio.all_tasks()
    pool = new_pool(await upstream(refuses(200)))
    pool.start()
    assert asyncio.all_tasks() > before

    await pool.aclose()
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}
