"""The intents of 小满百货, the made-up shop of `kefu serve --demo`: examples and actions.

A starter set for one's own shop too: copy the files, change the examples, `kefu intent train`.
"""

from __future__ import annotations

import asyncio
from importlib import resources
from pathlib import Path

from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.intent.actions import Action
from kefu.intent.dataset import Example, read_examples
from kefu.intent.service import Intents

FILES = ("examples.zh.csv", "examples.en.csv")

# Only what needs no knowledge: how to speak, and when to fetch a person.
ACTIONS = {
    "greeting": Action(
        "reply",
        "您好，欢迎来到小满百货！请问有什么可以帮您？",
        "Hello and welcome to Xiaoman Store! How can I help you today?",
    ),
    "thanks": Action(
        "reply",
        "不客气，很高兴能帮到您！还有问题随时找我们。",
        "You're very welcome! Just write to us if anything else comes up.",
    ),
    "goodbye": Action(
        "reply",
        "再见，感谢您光临小满百货，祝您生活愉快！",
        "Goodbye, and thank you for visiting Xiaoman Store. Have a lovely day!",
    ),
    "human_agent": Action(
        "handoff",
        "好的，我把您的问题转给同事，他们每天 9:00-21:00 在线，会尽快回复您。",
        "Of course. I am passing you on to a colleague; our team is online 9:00-21:00 (Beijing "
        "time) every day and will get back to you.",
    ),
    "complaint": Action(
        "handoff",
        "非常抱歉给您带来不好的体验。我已经把您的反馈交给同事，会有专人尽快联系您处理。",
        "I am very sorry about this experience. I have passed it on, and a colleague will contact "
        "you to sort it out.",
    ),
}


def sample_examples() -> list[Example]:
    """The examples of both languages."""
    folder = resources.files(__name__)
    return [
        example
        for name in FILES
        for example in read_examples((folder / name).read_bytes(), name, note=lambda _: None)
    ]


async def teach_sample(intents: Intents, encoder: SentenceEncoder) -> None:
    """Train on the examples and set the actions: two seconds, at the first start of a demo."""
    await asyncio.to_thread(_train, intents, encoder)
    for label, action in ACTIONS.items():
        await intents.set_action(label, action)


def _train(intents: Intents, encoder: SentenceEncoder) -> None:
    from kefu.intent.training import save, train  # noqa: PLC0415 - SciPy: no use to a later start

    trained = train(sample_examples(), encoder.encode, encoder.id)

    def write(folder: Path) -> None:
        save(trained, folder)

    intents.versions.add(write)
