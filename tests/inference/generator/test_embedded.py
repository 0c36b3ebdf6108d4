"""The real child: llama.cpp in a process of its own, with a tiny random model and the real one."""

import asyncio
import gc
import json
import os
import signal
import sys
import textwrap
from contextlib import aclosing

import psutil
import pytest

from kefu.errors import GeneratorUnavailable
from kefu.inference.generator.embedded import EmbeddedGenerator
from kefu.inference.generator.llama_process import LlamaProcess
from kefu.inference.generator.protocol import Prompt

from .conftest import eventually, slots_in_use, tiny_and_real, write

STORY = Prompt(text="从前有座山，山里有座庙，")
LONG = 8000

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="signals and nice as Linux has them")


@pytest.fixture
def long_prompt(gguf_path, tiny_gguf):
    """One that takes seconds to read: the tiny model reads 10,000 tokens/s, the real one 375."""
    return Prompt(text="我们的年，他到中国大地。" * (650 if gguf_path == tiny_gguf else 150))


def is_gone(pid):
    """A zombie is gone too: nobody but its new parent can bury it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@tiny_and_real
async def test_it_answers_and_counts(embedded):
    await embedded.ping()
    pieces = await write(embedded, STORY, max_tokens=12)

    assert "".join(piece.text for piece in pieces)
    assert pieces[-1].finish_reason in ("stop", "length")
    usage = pieces[-1].usage
    assert 0 < usage.completion_tokens <= 12
    assert usage.prompt_tokens > 5
    assert usage.tokens_per_second > 0


@tiny_and_real
async def test_the_same_prompt_gives_the_same_answer_from_the_cache(embedded):
    first = await write(embedded, STORY, max_tokens=12)
    again = await write(embedded, STORY, max_tokens=12)

    assert [piece.text for piece in again] == [piece.text for piece in first]
    assert again[-1].usage.cached_tokens > 5


@pytest.mark.models
async def test_a_shared_opening_is_read_once(real_gguf, settings, metrics):
    """Gemma's sliding window loses it without `swa_full`; `warm` gives it to every slot."""
    opening = "营业时间早上九点到晚上九点。退货需在七天内提出，运费由买家承担。\n" * 5
    generator = EmbeddedGenerator(real_gguf, settings, metrics)
    await generator.start()
    try:
        await generator.warm([Prompt(text=opening)])
        asked = (f"{opening}顾客：{question}？\n客服：" for question in ("几点开门", "能退货吗"))
        answers = await asyncio.gather(*(write(generator, text) for text in asked))
    finally:
        await generator.aclose()

    for answer in answers:
        usage = answer[-1].usage
        assert usage.cached_tokens > 0.75 * usage.prompt_tokens


@tiny_and_real
async def test_a_killed_child_ends_the_answer_at_once_and_the_next_one_works(embedded, metrics):
    heard = []
    answer = asyncio.create_task(write(embedded, STORY, max_tokens=LONG, heard=heard))
    await eventually(lambda: len(heard) >= 3, 30)
    pid = embedded.process.pid

    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(1):
        with pytest.raises(GeneratorUnavailable, match="being started again"):
            await answer
    async with asyncio.timeout(10):
        assert await write(embedded, STORY)

    assert embedded.process.pid != pid
    assert metrics.registry.get_sample_value("kefu_generator_restarts_total") == 1


async def test_a_child_that_dies_before_the_first_token_costs_a_moment_only(embedded, long_prompt):
    """Nothing was read yet, so the answer comes from the next child."""
    answer = asyncio.create_task(write(embedded, long_prompt, max_tokens=4))
    await eventually(lambda: slots_in_use(embedded), 30)
    os.kill(embedded.process.pid, signal.SIGKILL)

    async with asyncio.timeout(60):
        assert (await answer)[-1].finish_reason == "length"


@tiny_and_real
@pytest.mark.parametrize("leave", ["break", "cancel", "forget", "cancel while reading"])
async def test_the_slot_is_idle_when_the_customer_has_left(embedded, long_prompt, leave):
    prompt = long_prompt if leave == "cancel while reading" else STORY
    heard = []
    if leave.startswith("cancel"):
        answer = asyncio.create_task(write(embedded, prompt, max_tokens=LONG, heard=heard))
        await eventually(lambda: slots_in_use(embedded), 30)
        if leave == "cancel":
            await eventually(lambda: heard, 30)
        answer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answer
    elif leave == "break":
        async with aclosing(embedded.stream(prompt, max_tokens=LONG)) as pieces:
            async for _ in pieces:
                break
    else:
        stream = embedded.stream(prompt, max_tokens=LONG)
        await anext(stream)
        del stream
        gc.collect()

    await eventually(lambda: no_slot_in_use(embedded), 1)


async def no_slot_in_use(generator):
    return not await slots_in_use(generator)


@tiny_and_real
async def test_stopping_leaves_no_process_and_ends_open_answers(embedded):
    heard = []
    answer = asyncio.create_task(write(embedded, STORY, max_tokens=LONG, heard=heard))
    await eventually(lambda: heard, 30)
    pid = embedded.process.pid

    await embedded.aclose()

    assert is_gone(pid)
    with pytest.raises(GeneratorUnavailable):
        await answer
    with pytest.raises(GeneratorUnavailable):
        await embedded.ping()
    await embedded.aclose()  # twice does no harm


@on_linux
async def test_ctrl_c_is_not_for_the_child(embedded):
    os.kill(embedded.process.pid, signal.SIGINT)

    assert await write(embedded, STORY)
    assert os.getsid(embedded.process.pid) != os.getsid(0)


@on_linux
async def test_the_desk_goes_first(embedded, settings):
    child = psutil.Process(embedded.process.pid)
    ours = psutil.Process().nice()

    assert child.nice() == min(19, ours + settings.niceness)
    niceness = [psutil.Process(thread.id).nice() for thread in child.threads()]
    assert niceness.count(ours) == 1  # the watch on the parent, which must always get through
    assert set(niceness) == {ours, child.nice()}


async def test_every_chat_has_its_own_context_and_a_longer_prompt_is_refused(embedded):
    with pytest.raises(GeneratorUnavailable, match="chat_context_tokens"):
        await write(embedded, Prompt(text="我们的年，他到中国大地。" * 3000))
    assert await write(embedded, STORY)


async def test_strangers_on_the_machine_are_refused(embedded, metrics):
    run = embedded.process.run
    run_key, run.api_key = run.api_key, "guess"
    try:
        with pytest.raises((KeyError, TypeError, ValueError)):
            await slots_in_use(embedded)
    finally:
        run.api_key = run_key


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (None, "no such file"),
        (b"", "not a GGUF model"),
        (b"<html>404</html>" * 1000, "not a GGUF model"),
        (b"GGUF" + bytes(5000), "damaged or incomplete"),
    ],
)
async def test_a_file_that_is_no_model_is_named_with_what_to_do(
    tmp_path, settings, metrics, content, advice
):
    path = tmp_path / "broken.gguf"
    if content is not None:
        path.write_bytes(content)
    process = LlamaProcess(path, settings, metrics)

    with pytest.raises(GeneratorUnavailable, match=advice) as caught:
        await process.start()
    assert str(path) in str(caught.value)
    assert "last words" in str(caught.value)
    assert process.pid is None
    await process.stop()


async def test_a_truncated_model_is_named(tiny_gguf, tmp_path, settings, metrics):
    path = tmp_path / "half.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[: tiny_gguf.stat().st_size // 2])

    with pytest.raises(GeneratorUnavailable, match="damaged or incomplete"):
        await LlamaProcess(path, settings, metrics).start()


async def test_a_start_that_takes_too_long_is_given_up(tiny_gguf, settings, metrics):
    hasty = settings.model_copy(update={"start_seconds": 0.01})
    before = set(psutil.Process().children())

    with pytest.raises(GeneratorUnavailable, match=r"generator\.start_seconds"):
        await LlamaProcess(tiny_gguf, hasty, metrics).start()
    left = set(psutil.Process().children()) - before
    assert not [p for p in left if not is_gone(p.pid)]


async def test_a_child_that_keeps_failing_is_tried_with_longer_pauses(
    tiny_gguf, tmp_path, settings, metrics, monkeypatch
):
    model = tmp_path / "model.gguf"
    model.write_bytes(tiny_gguf.read_bytes())
    pauses = []
    sleep = asyncio.sleep

    async def no_sleep(seconds):
        if seconds >= 0.2:
            pauses.append(seconds)
            seconds = 0
        await sleep(seconds)

    process = LlamaProcess(model, settings, metrics)
    await process.start()
    try:
        monkeypatch.setattr("kefu.inference.generator.llama_process.asyncio.sleep", no_sleep)
        model.write_bytes(b"gone bad")
        os.kill(process.pid, signal.SIGKILL)
        await eventually(lambda: len(pauses) >= 3, 30)
        with pytest.raises(GeneratorUnavailable, match="was not ready within"):
            await process.wait_ready(0)
        model.write_bytes(tiny_gguf.read_bytes())
        await process.wait_ready(30)
    finally:
        await process.stop()

    assert pauses[:3] == [0.2, 0.5, 1.0]
    assert metrics.registry.get_sample_value("kefu_generator_restarts_total") == len(pauses)


PARENT = textwrap.dedent(
    """
    import asyncio, json, sys
    from pathlib import Path
    from kefu.inference.generator.embedded import EmbeddedGenerator
    from kefu.settings import GeneratorSettings, LogSettings
    from kefu.telemetry import Metrics, configure_logging

    configure_logging(LogSettings())

    async def main():
        settings = GeneratorSettings(n_parallel=1, threads=1)
        generator = EmbeddedGenerator(Path(sys.argv[1]), settings, Metrics())
        await generator.start()
        print(json.dumps(generator.process.pid), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        if sys.argv[2] == "orderly":
            await generator.aclose()
        elif sys.argv[2] == "abrupt":
            raise SystemExit(0)

    if sys.argv[3] == "thread":
        import threading
        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        thread.join()
    else:
        asyncio.run(main())
    """
)


async def start_parent(model, how="orderly", where="main"):
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(model), how, where),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    child = json.loads(await parent.stdout.readline())
    assert psutil.pid_exists(child)
    return parent, child


async def end(parent):
    parent.stdin.close()
    await parent.wait()
    await parent.stdout.read()


@pytest.mark.parametrize("where", ["main", "thread"])
async def test_a_killed_parent_takes_the_child_with_it(tiny_gguf, where):
    parent, child = await start_parent(tiny_gguf, where=where)

    parent.kill()
    await eventually(lambda: is_gone(child), 2)
    await end(parent)


@on_linux
async def test_even_a_child_that_cannot_run_goes_with_its_parent(tiny_gguf):
    """The thread that watches the pipe stands still; the kernel does it (PR_SET_PDEATHSIG)."""
    parent, child = await start_parent(tiny_gguf)

    os.kill(child, signal.SIGSTOP)
    parent.kill()
    await eventually(lambda: is_gone(child), 2)
    await end(parent)


@pytest.mark.parametrize("how", ["orderly", "abrupt"])
async def test_a_parent_that_ends_leaves_no_orphan(tiny_gguf, how):
    parent, child = await start_parent(tiny_gguf, how)

    await end(parent)

    await eventually(lambda: is_gone(child), 2)
