"""What people do with kept answers: write one for a question, change its words, pin it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kefu.answers.answer import CachedAnswer
from kefu.answers.key import Scope, key_of
from kefu.errors import InvalidInput
from kefu.language import Language, detect
from kefu.stamps import now_ms

MAX_QUESTION = 4000
MAX_REPLY = 8000


def written(
    question: str, reply: str, entry_hashes: Mapping[str, str], language: Language | None = None
) -> CachedAnswer:
    """A person's answer to a question, pinned. With entries it is given as long as they stay as
    they are, without any until it is dropped.

    Raises `InvalidInput` for an empty or too long text.
    """
    asked_in = language or detect(question)
    key = key_of(_checked("question", question, MAX_QUESTION), _scope(asked_in))
    if not key:
        raise InvalidInput(f"The question {question[:40]!r} has no words. Give one that has.")
    return CachedAnswer(
        key=key,
        question=question.strip(),
        language=asked_in,
        reply=_checked("reply", reply, MAX_REPLY),
        entry_hashes=dict(entry_hashes),
        pinned=True,
        edited=True,
    )


def revised(
    answer: CachedAnswer,
    current_hashes: Mapping[str, str],
    *,
    reply: str | None = None,
    pinned: bool | None = None,
) -> CachedAnswer:
    """The answer with other words, pinned or no more.

    Whoever gives it words or pins it vouches for it with its entries as they are now
    (`current_hashes`), whichever model wrote it.
    """
    words = answer.reply if reply is None else _checked("reply", reply, MAX_REPLY)
    changed = replace(
        answer,
        reply=words,
        pinned=answer.pinned if pinned is None else pinned,
        edited=answer.edited or reply is not None or bool(pinned),
    )
    return _vouched(changed, current_hashes) if reply is not None or pinned else changed


def _vouched(answer: CachedAnswer, current_hashes: Mapping[str, str]) -> CachedAnswer:
    there = [id_ for id_ in answer.entry_hashes if id_ in current_hashes]
    return replace(
        answer,
        key=key_of(answer.question, _scope(answer.language)),
        entry_hashes={id_: current_hashes[id_] for id_ in there},
        created_at_ms=now_ms(),
    )


def _scope(language: str) -> Scope:
    return Scope(language, "", "", 0).of_people


def _checked(field: str, text: str, longest: int) -> str:
    if not text.strip():
        raise InvalidInput(f"The {field} is empty. Write one.")
    if len(text) > longest:
        raise InvalidInput(f"The {field} has {len(text)} characters; {longest} are allowed.")
    return text.strip()
