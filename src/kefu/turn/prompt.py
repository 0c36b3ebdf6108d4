"""What the generator reads: instructions and examples that never change, then this turn.

A base model goes on with what it has read last. So the passages stand between the question and
the answer, the nearest one last: with the question there instead, the 270M model repeats the
question (loadtests/replies.py). The stable part comes first, and earlier rounds before this one,
so that llama.cpp reads only what is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from kefu import __version__
from kefu.errors import SettingsError
from kefu.inference.generator.protocol import Prompt
from kefu.inference.models.resolve import PromptStyle
from kefu.knowledge.index import Match
from kefu.knowledge.match import known_of
from kefu.language import Language
from kefu.paraphrase.verifier import find_disagreement, share_of_new_words
from kefu.settings import Settings
from kefu.turn.reply import Round
from kefu.turn.tokens import cut_to_tokens, estimate_tokens


@dataclass(frozen=True)
class Example:
    question: str
    passage: str
    answer: str


@dataclass(frozen=True)
class Wording:
    """The words of a prompt in one language. `refusal` is what the model says if it can't tell.

    Labels have their colon. Nothing follows an agent's label: SentencePiece puts a space before a
    word into the word, so a model that reads a space at the end goes on oddly.
    """

    instructions: str
    passage: str
    customer: str
    agent: str
    refusal: str
    examples: tuple[Example, ...]


_ZH_REFUSAL = "抱歉，资料里没有提到"
_EN_REFUSAL = "Sorry, that is not in the information"

# The facts are those of another shop: one that the sample shop contradicts would teach lies.
WORDINGS: dict[Language, Wording] = {
    "zh": Wording(
        instructions=(
            "客服从资料里找出顾客要的答案，照资料的原话简短回答，不编造。"
            f"资料没有答案时，客服说：{_ZH_REFUSAL}。"
        ),
        passage="资料：",
        customer="顾客：",
        agent="客服：",
        refusal=_ZH_REFUSAL,
        examples=(
            Example(
                "老板今年多大",
                "每月18日是会员日，会员全场九折，可以叠加优惠券。",
                f"{_ZH_REFUSAL}。",
            ),
            Example(
                "洗衣机电机坏了还管吗",
                "洗衣机整机保修三年，电机保修十年。",
                "电机保修十年。",
            ),
            Example(
                "想去店里试按摩椅",
                "按摩椅可以免费试用15分钟，需要提前一天预约。试用时请出示会员码。",
                "按摩椅可以免费试用15分钟，需要提前一天预约。",
            ),
            Example(
                "送的杯子能换钱不",
                "赠品不能折现，也不能转让。",
                "赠品不能折现。",
            ),
        ),
    ),
    "en": Wording(
        instructions=(
            "The agent finds what the customer wants in the information and answers briefly in "
            "its words, making nothing up. If it is not there, the agent says: "
            f"{_EN_REFUSAL}."
        ),
        passage="Information:",
        customer="Customer:",
        agent="Agent:",
        refusal=_EN_REFUSAL,
        examples=(
            Example(
                "how old is your boss",
                "Members' day is the 18th of each month, with 10% off everything.",
                f"{_EN_REFUSAL}.",
            ),
            Example(
                "washing machine motor died",
                "The whole washing machine has a warranty of three years, its motor ten years.",
                "The motor has a warranty of ten years.",
            ),
            Example(
                "want to try the massage chair",
                "Massage chairs can be tried for 15 minutes for free. Please book a day ahead "
                "and show your member code.",
                "Massage chairs can be tried for 15 minutes for free. Please book a day ahead.",
            ),
            Example(
                "swap the free mug for cash?",
                "Gifts cannot be paid out in cash or given to others.",
                "Gifts cannot be paid out in cash.",
            ),
        ),
    ),
}

# What one prompt may spend, in estimated tokens. A longer message or passage is cut: its beginning
# says what it is about.
MAX_QUESTION_TOKENS = 500
MAX_PASSAGES_TOKENS = 700
# A base model uses the last passage and at most notices the one before it; a third only costs time.
MOST_PASSAGES: dict[PromptStyle, int] = {"completion": 2, "trained": 4, "chat": 8}
# The share of a question's words that may be new to the passage a base model answers from.
MAX_NEW_SHARE = 0.25
# Labels, line ends, the messages' frames of a chat template, and what estimates may be short of.
FRAME_TOKENS = 200
ROUND_FRAME_TOKENS = 16


@dataclass(frozen=True)
class PromptWriter:
    """Writes prompts as few-shot text for base models, as chat messages for instruct models, or in
    the layout that training/generator teaches a small one."""

    style: PromptStyle

    def openings(self) -> tuple[Prompt, ...]:
        """What all prompts of a language begin with, for a generator to read ahead of them."""
        if self.style == "trained":
            return ()
        if self.style == "chat":
            return tuple(_chat(words, "", (), ()) for words in WORDINGS.values())
        return tuple(Prompt(text=_opening(words), stop=("\n",)) for words in WORDINGS.values())

    @property
    def copies_only(self) -> bool:
        """Whether no word of the model's own may reach a customer: a base model's are mostly wrong
        (loadtests/replies.py)."""
        return self.style == "completion"

    @property
    def needs_reader(self) -> bool:
        """Whether a reader must agree that what is said answers: a small trained model says what
        the passages say, and the wrong thing of it too often (docs/generation.md)."""
        return self.style == "trained"

    @property
    def digest(self) -> str:
        """Changes with everything that shapes a prompt besides its question and passages."""
        openings = [(prompt.text, prompt.messages) for prompt in self.openings()]
        budgets = (MAX_QUESTION_TOKENS, MAX_PASSAGES_TOKENS, MOST_PASSAGES)
        written = repr((__version__, self.style, openings, budgets))
        return hashlib.sha256(written.encode()).hexdigest()[:16]

    def choose(self, matches: Sequence[Match]) -> tuple[Match, ...]:
        """The matches that `write` shows to the model, best first."""
        return tuple(matches[: MOST_PASSAGES[self.style]])

    def write(
        self, question: str, rounds: Sequence[Round], passages: Sequence[Match], language: Language
    ) -> Prompt:
        words = WORDINGS[language]
        question = cut_to_tokens(_one_line(question), MAX_QUESTION_TOKENS)
        chosen = self.choose(passages)
        texts = self._passage_texts(chosen)
        if self.style == "trained":
            talk = [(earlier.question, earlier.reply) for earlier in rounds]
            shown = [
                TrainedPassage(match.entry.question, text)
                for match, text in zip(chosen, texts, strict=True)
            ]
            return Prompt(text=trained_prompt(language, question, talk, shown), stop=("\n",))
        if self.style == "chat":
            return _chat(words, question, rounds, texts)
        return _completion(words, question, rounds, texts)

    def may_answer(self, question: str, rounds: Sequence[Round], passages: Sequence[Match]) -> bool:
        """Whether the model may try at all.

        An instruct model can tell when passages do not answer. A small one copies one, whatever
        was asked: it may where the best passage knows the words of the question and nothing turns
        the question around, which is mostly a misspelt one.
        """
        if self.style == "chat":
            return True
        best = passages[0]
        if find_disagreement(question, best.question, known_of(best.entry)):
            return False
        asked = " ".join((*(earlier.question for earlier in rounds[-1:]), question))
        shares = (
            share_of_new_words(text, " ".join(best.entry.questions)) for text in (question, asked)
        )
        return min(shares) <= MAX_NEW_SHARE

    @staticmethod
    def refusal(language: Language) -> str:
        """How a reply begins that says the passages do not answer."""
        return WORDINGS[language].refusal

    def _passage_texts(self, passages: Sequence[Match]) -> list[str]:
        """One line each, within the budget that they share.

        A chat model gets the entries' questions as well: they say what an answer is about. A base
        model would copy them.
        """
        each = MAX_PASSAGES_TOKENS // max(1, len(passages))
        with_question = self.style == "chat"
        texts = (
            f"{match.entry.question} {match.entry.answer}" if with_question else match.entry.answer
            for match in passages
        )
        return [cut_to_tokens(_one_line(text), each) for text in texts]


def require_room(settings: Settings, style: PromptStyle) -> None:
    """Raise `SettingsError` where the longest prompt and its answer do not fit into one chat."""
    needed = longest_prompt_tokens(settings, style) + MIN_ANSWER_TOKENS
    if needed > settings.generator.chat_context_tokens:
        raise SettingsError(
            f"generator.chat_context_tokens is {settings.generator.chat_context_tokens}, but a "
            f"prompt with conversation.context_tokens = {settings.conversation.context_tokens} "
            f"and its answer may need {needed}. Raise the first or lower the second."
        )


# An answer shorter than this is of no use; a longer one may be cut where the context ends.
MIN_ANSWER_TOKENS = 256


def longest_prompt_tokens(settings: Settings, style: PromptStyle) -> int:
    """An upper estimate of any prompt that `PromptWriter` writes with these settings."""
    openings = PromptWriter(style).openings()
    opening = max(map(prompt_tokens, openings), default=0)
    talk = settings.conversation
    rounds = talk.context_tokens + ROUND_FRAME_TOKENS * talk.context_rounds
    return opening + MAX_QUESTION_TOKENS + MAX_PASSAGES_TOKENS + rounds + FRAME_TOKENS


def prompt_tokens(prompt: Prompt) -> int:
    """An upper estimate."""
    texts = [message["content"] for message in prompt.messages]
    return estimate_tokens(prompt.text or "".join(texts))


def _completion(
    words: Wording, question: str, rounds: Sequence[Round], passages: Sequence[str]
) -> Prompt:
    lines = []
    for earlier in rounds:
        lines.append(_labelled(words.customer, _one_line(earlier.question)))
        lines.append(_labelled(words.agent, _one_line(earlier.reply)))
    lines.append(_labelled(words.customer, question))
    lines += [_labelled(words.passage, passage) for passage in reversed(passages)]
    return Prompt(text=_opening(words) + "\n".join([*lines, words.agent]), stop=("\n",))


def _opening(words: Wording) -> str:
    """Instructions and examples: the same for every turn of a language."""
    blocks = [words.instructions]
    for example in words.examples:
        lines = [
            _labelled(words.customer, example.question),
            _labelled(words.passage, example.passage),
            _labelled(words.agent, example.answer),
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, ""])


def _chat(
    words: Wording, question: str, rounds: Sequence[Round], passages: Sequence[str]
) -> Prompt:
    messages = [{"role": "system", "content": words.instructions}]
    for earlier in rounds:
        messages.append({"role": "user", "content": _one_line(earlier.question)})
        messages.append({"role": "assistant", "content": _one_line(earlier.reply)})
    asked = [_labelled(words.passage, passage) for passage in passages]
    asked.append(_labelled(words.customer, question))
    messages.append({"role": "user", "content": "\n".join(asked)})
    return Prompt(messages=tuple(messages))


@dataclass(frozen=True)
class TrainedPassage:
    """`title`: its question or headings, where it has any."""

    title: str
    text: str


def trained_prompt(
    language: Language,
    question: str,
    rounds: Sequence[tuple[str, str]],
    passages: Sequence[TrainedPassage],
) -> str:
    """What a model reads that was taught to answer from passages (training/generator).

    `passages` best first. Nothing in it is an instruction: the layout alone says what is wanted.
    """
    return trained_context(language, rounds, passages) + trained_question(language, question)


def trained_context(
    language: Language, rounds: Sequence[tuple[str, str]], passages: Sequence[TrainedPassage]
) -> str:
    words = WORDINGS[language]
    lines = []
    for asked, replied in rounds:
        lines.append(_labelled(words.customer, _one_line(asked)))
        lines.append(_labelled(words.agent, _one_line(replied)))
    for passage in reversed(passages):
        title, text = _one_line(passage.title), _one_line(passage.text)
        lines.append(_labelled(words.passage, f"[{title}] {text}" if title else text))
    return "".join(f"{line}\n" for line in lines)


def trained_question(language: Language, question: str) -> str:
    words = WORDINGS[language]
    return f"{_labelled(words.customer, _one_line(question))}\n{words.agent}"


def trained_answer(language: Language, answer: str | None) -> str:
    """What such a model writes then, and its end. None: the passages do not tell."""
    words = WORDINGS[language]
    end = "。" if language == "zh" else "."
    text = _one_line(answer) if answer else f"{words.refusal}{end}"
    return ("" if language == "zh" else " ") + text + "\n"


def _labelled(label: str, text: str) -> str:
    """A full-width colon stands alone; an ASCII one has a space after it."""
    return f"{label}{text}" if label.endswith("：") else f"{label} {text}"


def _one_line(text: str) -> str:
    """Lines are the few-shot format's structure, so a customer's own may not look like it."""
    return " ".join(text.split())
