"""What the generator reads: instructions and examples that never change, then this turn.

The stable part comes first so that llama.cpp reuses it from its cache, and the conversation comes
before the passages' question so that a second turn reads only what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kefu.inference.generator.protocol import Prompt
from kefu.knowledge.index import Match
from kefu.knowledge.language import Language
from kefu.turn.reply import Round
from kefu.turn.tokens import cut_to_tokens


@dataclass(frozen=True)
class Example:
    passages: tuple[str, ...]
    question: str
    answer: str


@dataclass(frozen=True)
class Wording:
    """The words of a prompt in one language. `refusal` is what the model says if it can't tell."""

    instructions: str
    passage: str
    customer: str
    agent: str
    refusal: str
    examples: tuple[Example, ...]


_ZH_REFUSAL = "抱歉，资料里没有提到"
_EN_REFUSAL = "Sorry, that is not in the information"

WORDINGS: dict[Language, Wording] = {
    "zh": Wording(
        instructions=(
            f"客服只根据资料回答顾客，简短、礼貌，不编造。资料里没有答案时，客服说：{_ZH_REFUSAL}。"
        ),
        passage="资料",
        customer="顾客",
        agent="客服",
        refusal=_ZH_REFUSAL,
        examples=(
            Example(
                ("洗衣机保修多久？洗衣机整机保修三年，电机保修十年。",),
                "洗衣机的电机坏了还保修吗",
                "您好，洗衣机的电机保修十年，整机保修三年。",
            ),
            Example(
                (
                    "会员日是哪天？每月18日是会员日，会员全场九折。",
                    "可以叠加优惠券吗？会员日可以叠加优惠券。",
                ),
                "你们老板今年多大",
                f"{_ZH_REFUSAL}。",
            ),
            Example(
                ("门店可以试用按摩椅吗？可以，每人免费试用15分钟，需要提前一天预约。",),
                "想去店里试按摩椅要预约吗",
                "您好，需要提前一天预约，每人可以免费试用15分钟。",
            ),
        ),
    ),
    "en": Wording(
        instructions=(
            "The agent answers the customer only from the information, briefly and politely, and "
            f"makes nothing up. If the answer is not there, the agent says: {_EN_REFUSAL}."
        ),
        passage="Information",
        customer="Customer",
        agent="Agent",
        refusal=_EN_REFUSAL,
        examples=(
            Example(
                (
                    "How long is the warranty of a washing machine? The whole machine has a "
                    "warranty of three years, its motor ten years.",
                ),
                "the motor of my washing machine died, is that covered",
                "Yes, the motor is covered for ten years and the whole machine for three.",
            ),
            Example(
                (
                    "When is members' day? On the 18th of each month, with 10% off everything.",
                    "Can coupons be added? Yes, on members' day coupons can be added.",
                ),
                "how old is your boss",
                f"{_EN_REFUSAL}.",
            ),
            Example(
                (
                    "May I try a massage chair in the store? Yes, 15 minutes free for everyone; "
                    "please book a day ahead.",
                ),
                "do I need to book to try the massage chair",
                "Yes, please book one day ahead; everyone may try it for 15 minutes for free.",
            ),
        ),
    ),
}


# What one prompt may spend, in estimated tokens. A longer message or passage is cut: its beginning
# says what it is about.
MAX_QUESTION_TOKENS = 500
MAX_PASSAGES_TOKENS = 700


@dataclass(frozen=True)
class PromptWriter:
    """Writes prompts as few-shot text for base models or as chat messages for instruct models."""

    style: Literal["completion", "chat"]

    def openings(self) -> tuple[Prompt, ...]:
        """What all prompts of a language begin with, for a generator to read ahead of them."""
        if self.style == "chat":
            return tuple(_chat(words, "", (), ()) for words in WORDINGS.values())
        return tuple(Prompt(text=_opening(words), stop=("\n",)) for words in WORDINGS.values())

    def write(
        self, question: str, rounds: Sequence[Round], passages: Sequence[Match], language: Language
    ) -> Prompt:
        words = WORDINGS[language]
        question = cut_to_tokens(_one_line(question), MAX_QUESTION_TOKENS)
        texts = _passage_texts(passages)
        if self.style == "chat":
            return _chat(words, question, rounds, texts)
        return _completion(words, question, rounds, texts)

    @staticmethod
    def refusal(language: Language) -> str:
        """How a reply begins that says the passages do not answer."""
        return WORDINGS[language].refusal


def _completion(
    words: Wording, question: str, rounds: Sequence[Round], passages: Sequence[str]
) -> Prompt:
    lines = _labelled(words, passages)
    for earlier in rounds:
        lines.append(f"{words.customer}：{_one_line(earlier.question)}")
        lines.append(f"{words.agent}：{_one_line(earlier.reply)}")
    lines += [f"{words.customer}：{question}", f"{words.agent}："]
    return Prompt(text=_opening(words) + "\n".join(lines), stop=("\n",))


def _opening(words: Wording) -> str:
    """Instructions and examples: the same for every turn of a language."""
    blocks = [words.instructions]
    for example in words.examples:
        lines = _labelled(words, example.passages)
        lines += [f"{words.customer}：{example.question}", f"{words.agent}：{example.answer}"]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, ""])


def _chat(
    words: Wording, question: str, rounds: Sequence[Round], passages: Sequence[str]
) -> Prompt:
    messages = [{"role": "system", "content": words.instructions}]
    for earlier in rounds:
        messages.append({"role": "user", "content": earlier.question})
        messages.append({"role": "assistant", "content": earlier.reply})
    asked = [*_labelled(words, passages), f"{words.customer}：{question}"]
    messages.append({"role": "user", "content": "\n".join(asked)})
    return Prompt(messages=tuple(messages))


def _labelled(words: Wording, passages: Sequence[str]) -> list[str]:
    return [f"{words.passage}：{passage}" for passage in passages]


def _passage_texts(passages: Sequence[Match]) -> list[str]:
    """Question and answer of each entry, within the budget that they share."""
    texts = [_one_line(f"{match.entry.question} {match.entry.answer}") for match in passages]
    each = MAX_PASSAGES_TOKENS // max(1, len(texts))
    return [cut_to_tokens(text, each) for text in texts]


def _one_line(text: str) -> str:
    """Lines are the few-shot format's structure, so a customer's own may not look like it."""
    return " ".join(text.split())
