"""A model of four intents on `HashingEncoder`'s vectors: trained in a tenth of a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kefu.intent.dataset import OUT_OF_SCOPE, Example
from kefu.intent.training import Trained, save, train
from kefu.intent.versions import Versions
from tests.fakes import HashingEncoder

TEXTS = {
    "human_agent": (
        "转人工", "我要转人工", "找人工客服", "转接人工客服", "人工服务", "有真人客服吗",
        "talk to a human", "I want a human agent", "human agent please", "connect me to an agent",
    ),
    "thanks": (
        "谢谢", "谢谢你", "多谢了", "非常感谢", "谢谢您的帮助", "太感谢了",
        "thanks", "thank you", "thanks a lot", "thank you so much",
    ),
    "store/hours": (
        "几点开门", "营业到几点", "营业时间", "周末营业吗", "门店几点关门", "今天营业吗",
        "opening hours", "when do you open", "are you open on sunday", "what are the shop hours",
    ),
    "refund_status": (
        "退款到哪了", "我的退款呢", "退款多久到账", "退款进度", "钱什么时候退回来", "退款还没到",
        "where is my refund", "refund status", "has my refund arrived", "when will I be refunded",
    ),
}  # fmt: skip
STRANGE = (
    "今天天气怎么样", "给我讲个笑话", "帮我写一首诗", "月亮有多远", "谁是世界冠军", "推荐一部电影",
    "一加一等于几", "你几岁了", "北京有多少人口", "股票会涨吗", "教我弹吉他", "宇宙有多大",
    "what's the weather like", "tell me a joke", "write me a poem", "how far is the moon",
    "who won the world cup", "which movie should I watch", "what is two plus two", "how tall is everest",
    "will it rain tomorrow", "play some jazz",
)  # fmt: skip


def examples(*, strange: bool = True) -> list[Example]:
    known = [Example(text, label) for label, texts in TEXTS.items() for text in texts]
    return [*known, *(Example(text, OUT_OF_SCOPE) for text in STRANGE if strange)]


def trained(*labels: str) -> Trained:
    """Of these labels only, or of all, so that two models can be told apart by what they know."""
    return _trained(labels or tuple(TEXTS))


@cache
def _trained(labels: tuple[str, ...]) -> Trained:
    chosen = [e for e in examples() if e.label in (*labels, OUT_OF_SCOPE)]
    encoder = HashingEncoder()
    return train(chosen, encoder.encode, encoder.id)


def save_model(folder: Path, *labels: str) -> None:
    save(trained(*labels), folder)


def add_model(versions: Versions, *labels: str, activate: bool = True) -> str:
    """The id of a new version that knows `labels`, or all."""
    return versions.add(lambda folder: save_model(folder, *labels), activate=activate)


def damage(folder: Path) -> None:
    """As a disk that was full, or a copy that was cut off."""
    file = folder / "weights.npz"
    file.write_bytes(file.read_bytes()[:1000])
