import asyncio
import gc
import random
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.inference.generator.admission import Admission
from kefu.inference.generator.protocol import Piece, Prompt
from kefu.telemetry import Metrics

from .conftest import eventually, write


class FakeGenerator:
    """Writes two pieces to an answer and waits between them until it is let on."""

    def __init__(self):
        self.started = []
        self.running = 0
        self.most_running = 0
        self.closed = False
        self.let_on = {}

    async def stream(self, prompt, *, max_tokens, session=""):
        name = prompt.text
        self.started.append(name)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            yield Piece("a")
            if name.startswith("bad"):
                raise GeneratorUnavailable("broken")
            await self.let_on.setdefault(name, asyncio.Event()).wait()
            yield Piece("", finish_reason="stop")
        finally:
            self.running -= 1

    def finish(self, name):
        self.let_on.setdefault(name, asyncio.Event()).set()

    async def ping(self):
        pass

    async def aclose(self):
        self.closed = True


@pytest.fixture
def fake():
    return FakeGenerator()


@pytest.fixture
def admit(fake, metrics):
    def make(places=1, max_waiting=10, wait_seconds=30.0):
        return Admission(
            fake,
            places=places,
            max_waiting=max_waiting,
            wait_seconds=wait_seconds,
            metrics=metrics,
        )

    return make


def gauges(metrics):
    sample = metrics.registry.get_sample_value
    return sample("kefu_generator_running"), sample("kefu_generator_waiting")


async def line_up(admission, fake, *names):
    """Tasks that asked in this order and got as far as they can."""
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(write(admission, name)))
        await settle()
    return tasks


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def until_granted(admission):
    waiting = admission.waiting
    for _ in range(20):
        if admission.waiting < waiting:
            return
        await asyncio.sleep(0)
    pytest.fail("nobody was let in")


async def test_first_come_first_served(admit, fake, metrics):
    admission = admit(places=2)
    tasks = await line_up(admission, fake, "1", "2", "3", "4", "5")

    assert fake.started == ["1", "2"]
    assert (admission.running, admission.waiting) == (2, 3)
    assert gauges(metrics) == (2, 3)
    for name in ("2", "1", "3", "4", "5"):
        fake.finish(name)
        await settle()
    await asyncio.gather(*tasks)

    assert fake.started == ["1", "2", "3", "4", "5"]
    assert fake.most_running == 2
    assert gauges(metrics) == (0, 0)


async def test_a_full_queue_refuses_and_says_when_to_come_back(admit, fake):
    admission = admit(max_waiting=1)
    tasks = await line_up(admission, fake, "1", "2")

    with pytest.raises(Overloaded) as caught:
        await write(admission, "3")
    assert 1 <= caught.value.retry_after_seconds <= 60
    fake.finish("1")
    fake.finish("2")
    await asyncio.gather(*tasks)
    assert fake.started == ["1", "2"]


async def test_without_a_queue_the_places_still_work(admit, fake):
    admission = admit(max_waiting=0)
    (task,) = await line_up(admission, fake, "1")
    with pytest.raises(Overloaded):
        await write(admission, "2")
    fake.finish("1")
    await task
    fake.finish("3")
    assert await write(admission, "3")


async def test_a_wait_that_takes_too_long_ends_and_takes_no_place(admit, fake, metrics):
    admission = admit(wait_seconds=0.02)
    (running,) = await line_up(admission, fake, "1")

    with pytest.raises(Overloaded, match=r"0\.02 s") as caught:
        await write(admission, "2")
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert gauges(metrics) == (1, 0)
    fake.finish("1")
    await running
    assert gauges(metrics) == (0, 0)


async def test_who_leaves_the_queue_is_out_at_once(admit, fake, metrics):
    admission = admit()
    first, second, third = await line_up(admission, fake, "1", "2", "3")

    second.cancel()
    await settle()
    assert gauges(metrics) == (1, 1)
    fake.finish("1")
    fake.finish("3")
    await asyncio.gather(first, third)
    assert fake.started == ["1", "3"]
    assert gauges(metrics) == (0, 0)


async def test_a_place_granted_to_one_who_just_left_goes_to_the_next(admit, fake, metrics):
    admission = admit()
    first, second, third = await line_up(admission, fake, "1", "2", "3")

    first.cancel()
    await until_granted(admission)  # "2" has the place, and has not woken up yet
    second.cancel()
    await settle()

    assert fake.started == ["1", "3"]
    fake.finish("3")
    await third
    assert gauges(metrics) == (0, 0)


async def test_a_newcomer_is_served_while_the_leavers_are_still_in_line(admit, fake):
    """The place is free and the queue is not empty, but nobody in it wants the place."""
    admission = admit()
    first, second = await line_up(admission, fake, "1", "2")

    second.cancel()
    first.cancel()
    fake.finish("3")
    async with asyncio.timeout(5):
        await write(admission, "3")


async def test_a_failure_gives_the_place_back(admit, fake, metrics):
    admission = admit()
    with pytest.raises(GeneratorUnavailable):
        await write(admission, "bad")
    assert gauges(metrics) == (0, 0)
    fake.finish("2")
    assert await write(admission, "2")


async def test_an_answer_nobody_iterates_takes_no_place(admit, fake, metrics):
    admission = admit()
    stream = admission.stream(Prompt(text="1"), max_tokens=1)
    dropped = admission.stream(Prompt(text="2"), max_tokens=1)
    del dropped
    await stream.aclose()

    assert gauges(metrics) == (0, 0)
    assert fake.started == []


@pytest.mark.parametrize("way", ["break", "aclose", "forget"])
async def test_an_answer_left_half_way_gives_its_place_back(admit, fake, metrics, way):
    admission = admit()
    stream = admission.stream(Prompt(text="1"), max_tokens=1)
    if way == "break":
        async with aclosing(stream) as pieces:
            async for _ in pieces:
                break
    else:
        await anext(stream)
        assert gauges(metrics) == (1, 0)
        if way == "aclose":
            await stream.aclose()
    del stream
    gc.collect()
    await eventually(lambda: gauges(metrics) == (0, 0) and fake.running == 0, 1)


async def test_the_position_in_the_queue_is_told_as_it_changes(admit, fake):
    admission = admit()
    (running,) = await line_up(admission, fake, "1")
    told = {"2": [], "3": [], "4": []}

    async def ask(name):
        async with aclosing(admission.stream(Prompt(text=name), max_tokens=1)) as pieces:
            async for piece in pieces:
                if piece.position:
                    assert piece.text == ""
                    told[name].append(piece.position)

    tasks = [asyncio.create_task(ask(name)) for name in told]
    await settle()
    tasks[1].cancel()
    await settle()
    for name in ("1", "2", "4"):
        fake.finish(name)
        await settle()
    await asyncio.gather(running, tasks[0], tasks[2])

    assert told == {"2": [1], "3": [2], "4": [3, 2, 1]}


async def test_closing_sends_the_waiting_ones_away(admit, fake, metrics):
    admission = admit()
    first, second = await line_up(admission, fake, "1", "2")

    await admission.aclose()

    with pytest.raises(GeneratorUnavailable):
        await second
    with pytest.raises(GeneratorUnavailable):
        await write(admission, "3")
    assert fake.closed
    fake.finish("1")
    await first
    assert gauges(metrics) == (0, 0)


def test_there_is_at_least_one_place(admit):
    with pytest.raises(ValueError, match="place"):
        admit(places=0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "cancel", "finish", "close", "tick", "tick"]),
        st.integers(0, 1000),
    ),
    max_size=120,
)


@settings(max_examples=300, deadline=None)
@given(places=st.integers(1, 3), max_waiting=st.integers(0, 5), steps=STEPS)
def test_no_schedule_leaks_a_place_or_breaks_the_order(places, max_waiting, steps):
    asyncio.run(_play(places, max_waiting, steps))


async def _play(places, max_waiting, steps):
    fake, metrics = FakeGenerator(), Metrics()
    admission = Admission(
        fake, places=places, max_waiting=max_waiting, wait_seconds=60, metrics=metrics
    )
    tasks = {}
    for step, number in steps:
        names = sorted(name for name, task in tasks.items() if not task.done())
        chosen = names[number % len(names)] if names else None
        if step == "ask":
            name = f"{'bad' if number % 7 == 0 else ''}{len(tasks):04}"
            tasks[name] = asyncio.create_task(write(admission, name))
        elif step == "tick":
            for _ in range(number % 4):
                await asyncio.sleep(0)
        elif chosen and step == "finish":
            fake.finish(chosen)
        elif chosen:
            tasks[chosen].cancel()
        assert fake.running <= places
        assert admission.waiting <= max_waiting

    await settle()
    for name in tasks:
        fake.finish(name)
    async with asyncio.timeout(5):
        ended = await asyncio.gather(*tasks.values(), return_exceptions=True)

    expected = (list, Overloaded, GeneratorUnavailable, asyncio.CancelledError)
    assert all(isinstance(end, expected) for end in ended)
    order = [int(name.removeprefix("bad")) for name in fake.started]
    # Two that get places in the same tick may begin in either order; nobody is passed by more.
    assert all(abs(order.index(n) - place) < places for place, n in enumerate(sorted(order)))
    assert fake.most_running <= places
    assert (admission.running, admission.waiting, fake.running) == (0, 0, 0)
    assert gauges(metrics) == (0, 0)


async def test_a_storm_of_customers_who_come_and_go(admit, fake, metrics):
    """Cancels at random moments, on the real clock of the loop."""
    admission = admit(places=3, max_waiting=20)
    dice = random.Random(3)

    async def visit(name):
        fake.finish(name)
        async with asyncio.timeout(dice.random() * 0.01):
            await write(admission, name)

    visits = [asyncio.create_task(visit(str(n))) for n in range(300)]
    for task in dice.sample(visits, 80):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*visits, return_exceptions=True)
    await eventually(lambda: gauges(metrics) == (0, 0), 5)
    assert fake.running == 0
