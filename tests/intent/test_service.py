"""The intents of a running desk follow what other processes train, choose and configure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from kefu.errors import InvalidInput, ModelError, NotFound
from kefu.inference.encoder.compared import Compared
from kefu.intent.actions import Action
from kefu.intent.service import Intents, open_intents
from kefu.intent.training import save, train
from kefu.intent.versions import Versions
from kefu.settings import Settings
from kefu.stores.database import Database
from kefu.stores.intents import SqlActions
from kefu.stores.opening import open_database
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder
from tests.intent.small_models import add_model, damage, examples

VECTORS = HashingEncoder().encode
THANKS = Action("reply", "不客气！", "You are welcome!")
Open = Callable[[], Awaitable[Intents]]


@pytest.fixture
def elsewhere(settings: Settings) -> Versions:
    """The same data folder, as another process has it open."""
    return Versions(settings.intents_dir)


@pytest.fixture
async def open_desk(settings: Settings, database: Database) -> AsyncIterator[Open]:
    opened = []

    async def open_one() -> Intents:
        actions = SqlActions(database)
        intents = await open_intents(
            settings.intents_dir, actions, HashingEncoder.id, settings.intents, Metrics()
        )
        opened.append(intents)
        return intents

    yield open_one
    for intents in opened:
        intents.close()


@pytest.fixture
async def intents(open_desk: Open) -> Intents:
    return await open_desk()


async def label_of(intents: Intents, text: str) -> str | None:
    found = await intents.predict(text, Compared(VECTORS([text])[0]))
    return found.label if found else None


async def test_before_any_training_nothing_is_predicted_and_nothing_is_wrong(intents: Intents):
    await intents.refresh()
    assert await label_of(intents, "谢谢") is None
    assert (intents.version, intents.about, intents.problem) == (None, None, "")
    assert intents.action_for(None) is None


async def test_what_another_process_trains_is_taken_over(intents: Intents, elsewhere: Versions):
    first = add_model(elsewhere)
    assert await label_of(intents, "谢谢") is None
    await intents.refresh()
    assert (intents.version, await label_of(intents, "谢谢")) == (first, "thanks")
    second = add_model(elsewhere, "refund_status", "human_agent")
    await intents.refresh()
    assert intents.version == second
    assert intents.about
    assert intents.about.labels == ("human_agent", "refund_status")
    assert await label_of(intents, "谢谢") != "thanks"
    assert elsewhere.roll_back() == first
    await intents.refresh()
    assert (intents.version, await label_of(intents, "谢谢")) == (first, "thanks")


async def test_what_is_not_to_be_used_is_left_alone(intents: Intents, elsewhere: Versions):
    first = add_model(elsewhere)
    await intents.refresh()
    add_model(elsewhere, activate=False)
    await intents.refresh()
    assert intents.version == first


async def test_a_model_that_did_not_change_is_not_loaded_again(
    intents: Intents, elsewhere: Versions
):
    add_model(elsewhere)
    await intents.refresh()
    with structlog.testing.capture_logs() as logs:
        await intents.refresh()
    assert logs == []


# Refused.


def _cut_off(versions: Versions) -> None:
    damage(versions.folder_of(add_model(versions)))


def _foreign_encoder(versions: Versions) -> None:
    trained = train(examples(), VECTORS, "another-512")
    versions.add(lambda folder: save(trained, folder))


def _other_format(versions: Versions) -> None:
    file = versions.folder_of(add_model(versions)) / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "format": 99}), "utf-8")


def _taken_away(versions: Versions) -> None:
    folder = versions.folder_of(add_model(versions))
    folder.rename(folder.with_name(f".{folder.name}"))


def _no_pointer(versions: Versions) -> None:
    add_model(versions)
    _pointer(versions).write_text("{")


def _pointer(versions: Versions) -> Path:
    current = versions.current()
    assert current
    return versions.folder_of(current.version).parent.parent / "current.json"


REFUSED = {
    "damaged": (_cut_off, "is damaged"),
    "of another encoder": (_foreign_encoder, "another-512"),
    "of another format": (_other_format, "format 99"),
    "not there": (_taken_away, "There is no intent model"),
    "not readable as a choice": (_no_pointer, "current.json cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_loaded_is_refused_and_the_old_one_serves_on(
    intents: Intents, elsewhere: Versions, name: str
):
    choose, reason = REFUSED[name]
    first = add_model(elsewhere)
    await intents.refresh()
    choose(elsewhere)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await intents.refresh()
    assert reason in intents.problem
    assert (intents.version, await label_of(intents, "谢谢")) == (first, "thanks")
    # Said once, and not every second.
    assert [(log["event"], log["serving"]) for log in logs] == [("intent_model_refused", first)]


@pytest.mark.parametrize("name", REFUSED)
async def test_the_problem_is_over_when_a_good_one_is_chosen(
    intents: Intents, elsewhere: Versions, name: str
):
    first = add_model(elsewhere)
    await intents.refresh()
    REFUSED[name][0](elsewhere)
    await intents.refresh()
    assert intents.problem
    elsewhere.activate(first)  # which has served all the time
    await intents.refresh()
    assert (intents.version, intents.problem) == (first, "")
    REFUSED[name][0](elsewhere)
    await intents.refresh()
    second = add_model(elsewhere, "thanks", "human_agent")
    await intents.refresh()
    assert (intents.version, intents.problem) == (second, "")


async def test_a_rollback_from_a_damaged_one_ends_the_problem(
    intents: Intents, elsewhere: Versions
):
    first = add_model(elsewhere)
    await intents.refresh()
    _cut_off(elsewhere)
    await intents.refresh()
    assert elsewhere.roll_back() == first
    await intents.refresh()
    assert (intents.version, intents.problem) == (first, "")


async def test_one_that_was_mended_is_taken_when_it_is_chosen_again(
    intents: Intents, elsewhere: Versions
):
    add_model(elsewhere)
    await intents.refresh()
    second = add_model(elsewhere)
    weights = elsewhere.folder_of(second) / "weights.npz"
    whole = weights.read_bytes()
    damage(weights.parent)
    await intents.refresh()
    assert intents.version != second
    weights.write_bytes(whole)
    elsewhere.activate(second)
    await intents.refresh()
    assert (intents.version, intents.problem) == (second, "")


# At the start.


async def test_at_the_start_the_chosen_one_is_loaded(open_desk: Open, elsewhere: Versions):
    add_model(elsewhere)
    second = add_model(elsewhere)
    intents = await open_desk()
    assert (intents.version, intents.problem) == (second, "")


@pytest.mark.parametrize("name", ["damaged", "of another encoder", "of another format"])
async def test_at_the_start_the_one_before_stands_in_for_a_damaged_one(
    open_desk: Open, elsewhere: Versions, name: str
):
    choose, reason = REFUSED[name]
    first = add_model(elsewhere)
    choose(elsewhere)
    intents = await open_desk()
    assert (intents.version, await label_of(intents, "谢谢")) == (first, "thanks")
    assert reason in intents.problem
    await intents.refresh()
    assert reason in intents.problem  # it is not forgotten that another one was chosen
    third = add_model(elsewhere)
    await intents.refresh()
    assert (intents.version, intents.problem) == (third, "")


async def test_a_desk_starts_without_any_model_that_is_whole(open_desk: Open, elsewhere: Versions):
    _cut_off(elsewhere)
    intents = await open_desk()
    assert intents.version is None
    assert "damaged" in intents.problem
    _cut_off(elsewhere)
    again = await open_desk()
    assert again.version is None
    assert await label_of(again, "谢谢") is None
    _pointer(elsewhere).write_text("{")
    assert (await open_desk()).version is None


# Chosen here.


async def test_use_serves_with_it_at_once_and_others_see_it(intents: Intents, elsewhere: Versions):
    first, second = add_model(elsewhere), add_model(elsewhere)
    await intents.refresh()
    await intents.use(first)
    assert intents.version == first
    current = elsewhere.current()
    assert current
    assert (current.version, current.previous) == (first, second)
    with structlog.testing.capture_logs() as logs:
        await intents.refresh()
    assert logs == []


@pytest.mark.parametrize("name", ["damaged", "of another encoder", "of another format", "unknown"])
async def test_a_use_that_is_refused_leaves_everything_as_it_was(
    intents: Intents, elsewhere: Versions, name: str
):
    first = add_model(elsewhere)
    bad = "nothing"
    if name != "unknown":
        REFUSED[name][0](elsewhere)
        current = elsewhere.current()
        assert current
        bad = current.version
        elsewhere.activate(first)
    await intents.refresh()
    before = elsewhere.current()
    with pytest.raises(NotFound if name == "unknown" else ModelError):
        await intents.use(bad)
    assert elsewhere.current() == before
    assert (intents.version, intents.problem) == (first, "")
    assert await label_of(intents, "谢谢") == "thanks"


async def test_predictions_go_on_while_models_are_swapped(intents: Intents, elsewhere: Versions):
    versions = [add_model(elsewhere), add_model(elsewhere, "thanks", "human_agent")]
    await intents.refresh()
    done = 0
    swaps = 0

    async def predict() -> None:
        nonlocal done
        for _ in range(25):
            assert await label_of(intents, "谢谢") == "thanks"
            done += 1
            await asyncio.sleep(0)

    async def swap() -> None:
        nonlocal swaps
        while done < 200:
            if swaps % 3 == 0:
                await asyncio.to_thread(elsewhere.activate, versions[swaps % 2])
                await intents.refresh()
            elif swaps % 3 == 1:
                await intents.use(versions[swaps % 2])
            else:
                await asyncio.gather(intents.refresh(), intents.use(versions[swaps % 2]))
            swaps += 1

    swapping = asyncio.ensure_future(swap())
    while swaps < 2:
        assert await label_of(intents, "谢谢") == "thanks"
        await asyncio.sleep(0)
    await asyncio.gather(*(predict() for _ in range(8)))
    await swapping
    assert (done, intents.problem) == (200, "")


# Actions.


async def test_actions_of_another_process_are_noticed(
    intents: Intents, elsewhere: Versions, settings: Settings
):
    add_model(elsewhere)
    await intents.refresh()
    found = await intents.predict("谢谢", Compared(VECTORS(["谢谢"])[0]))
    assert intents.action_for(found) is None
    with open_database(settings.database_at) as other:
        actions = SqlActions(other)
        actions.save({"thanks": THANKS, "human_agent": Action("handoff", "请稍等。")})
        await intents.refresh()
        assert intents.actions.keys() == {"thanks", "human_agent"}
        assert intents.action_for(found) == THANKS
        actions.save({"thanks": Action("reply", "好的")})
        assert actions.remove("human_agent")
        assert not actions.remove("human_agent")
        await intents.refresh()
    assert intents.actions == {"thanks": Action("reply", "好的")}


async def test_actions_outlive_the_desk(open_desk: Open):
    await (await open_desk()).set_action("thanks", THANKS)
    assert (await open_desk()).actions == {"thanks": THANKS}


async def test_an_action_is_noticed_though_the_model_is_damaged(
    intents: Intents, elsewhere: Versions
):
    add_model(elsewhere)
    await intents.refresh()
    _cut_off(elsewhere)
    await intents.set_action("thanks", THANKS)
    assert "damaged" in intents.problem
    assert (
        intents.action_for(await intents.predict("谢谢", Compared(VECTORS(["谢谢"])[0]))) == THANKS
    )


async def test_removing_says_whether_there_was_one(intents: Intents):
    assert not await intents.remove_action("thanks")
    await intents.set_action("thanks", THANKS)
    assert await intents.remove_action("thanks")
    assert intents.actions == {}


BAD_ACTIONS = {
    "no label": ("", THANKS),
    "a label of spaces": ("  ", THANKS),
    "a long label": ("x" * 65, THANKS),
    "out of scope": ("oos", THANKS),
    "nothing to say": ("thanks", Action("reply")),
    "only a link": ("thanks", Action("link", url="https://shop.example")),
    "a link without address": ("thanks", Action("link", "看")),
    "a reply with address": ("thanks", Action("reply", "看", url="https://shop.example")),
    "a long reply": ("thanks", Action("reply", "长" * 2001)),
    "a script": ("thanks", Action("link", "看", url="javascript:alert(1)")),
    "no host": ("thanks", Action("link", "看", url="https://")),
    "spaces": ("thanks", Action("link", "看", url="https://shop.example/a b")),
    "a broken host": ("thanks", Action("link", "看", url="https://[shop")),
    "a long address": ("thanks", Action("link", "看", url=f"https://shop.example/{'a' * 500}")),
}


@pytest.mark.parametrize("name", BAD_ACTIONS)
async def test_an_action_that_cannot_be_is_refused(intents: Intents, name: str):
    with pytest.raises(InvalidInput):
        await intents.set_action(*BAD_ACTIONS[name])
    assert intents.actions == {}
