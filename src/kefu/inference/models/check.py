"""Holds a pruned generator against its original: greedy output must be the same, word for word.

Each runs in a child process, through the same llama.cpp that serves answers; a native crash there is
an error here.

One thread each: llama.cpp's threads wait for one another by spinning, and on two cores shared with
others two threads took 66 to 103 s for what one does in 12.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kefu.errors import ModelCorrupt, ModelError

TOKENS = 32
"""Written for each sentence at most; as in the desk's own use, an answer ends with its line."""

_ZH = "资料：会员每月可以免费退换货两次，运费由商家承担。\n顾客：退货要自己出运费吗？\n客服：会员每月前两次退换货免运费。\n\n资料：{}\n顾客：{}\n客服："
_EN = "Passage: Our office is open from 9 am to 6 pm.\nCustomer: When do you open?\nAgent: We open at 9 am.\n\nPassage: {}\nCustomer: {}\nAgent:"
PROMPTS = (
    _ZH.format("订单付款后30分钟内可以在“我的订单”里取消。", "刚下的单还能取消吗？"),
    _ZH.format("电子发票在确认收货后24小时内发到您的邮箱。", "发票什么时候开？"),
    _ZH.format("客服热线400-123-4567，每天9:00至21:00有人接听。", "你们的电话是多少？"),
    _ZH.format("耳机保修期为一年，人为损坏不在保修范围内。", "耳机摔坏了能保修吗？"),
    _ZH.format("江浙沪满99元包邮，其他地区满199元包邮。", "寄到北京，买150元的东西包邮吗？"),
    _ZH.format("积分每年12月31日清零，100积分可抵1元。", "我的积分会过期吗？"),
    _EN.format("Orders over $50 ship free within the country.", "Is delivery free for $60?"),
    _EN.format("Returns are accepted within 30 days with the receipt.", "Can I return a gift?"),
    _EN.format("The battery lasts 12 hours and charges in 90 minutes.", "How long does it charge?"),
    "我们公司的客户服务团队每天都会收到很多问题，其中最常见的是",
)
_SECONDS = 300  # for one model; it takes about twelve on a slow core


def check_same_output(original: Path, pruned: Path, on_step: Callable[[str], None]) -> None:
    """Compare greedy output on `PROMPTS`. Raises `ModelCorrupt` when one differs."""
    on_step(f"checking: the original and the reduced model write {len(PROMPTS)} sentences")
    with _Child(original) as first, _Child(pruned) as second:
        expected, texts = first.texts(), second.texts()
    for number, (text, wanted) in enumerate(zip(texts, expected, strict=True), 1):
        if text != wanted:
            raise ModelCorrupt(
                f"The model with the reduced vocabulary says {text!r} where the original says "
                f"{wanted!r} (sentence {number}). It was thrown away. Use the original as "
                "generator.model, and please report this."
            )
    on_step(f"checking: {len(texts)}/{len(PROMPTS)} sentences identical")


class _Child:
    """A process in which llama.cpp writes all sentences; it never outlives us."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()", str(model)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._log.close()

    def texts(self) -> list[str]:
        try:
            said, _ = self._process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{self._model} wrote nothing within {_SECONDS} s.") from error
        if self._process.returncode:
            raise ModelError(
                f"llama.cpp could not run {self._model} (exit {self._process.returncode}): "
                f"{self._last_lines()}"
            )
        return [str(text) for text in json.loads(said)]

    def _last_lines(self) -> str:
        self._log.seek(0)
        return " | ".join(self._log.read().decode(errors="replace").strip().splitlines()[-3:])


def _write_all(model: str) -> list[str]:
    """In the child: greedy, one sentence at a time, so that both models do the same sums."""
    import xllamacpp  # noqa: PLC0415 - native code that only the child may load

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    return [_write_one(server, prompt) for prompt in PROMPTS]


def _write_one(server: Any, prompt: str) -> str:
    answers: list[dict[str, Any]] = []
    stop = ["\n"] if "\n" in prompt else []  # the last one has no form to keep and runs on
    request = {"prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "stop": stop}
    server.handle_completions(request, answers.append)
    return str(answers[-1]["choices"][0]["text"])


def main() -> None:
    """The child. llama.cpp may print; only our line goes to the parent's pipe."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    texts = _write_all(sys.argv[1])
    with os.fdopen(pipe, "w", encoding="utf-8") as out:
        json.dump(texts, out)
    os._exit(0)  # the server's threads need no farewell
