"""What customers are told when the knowledge is not sure: the real pipeline, its replies judged.

    python loadtests/replies.py DATA_DIR [--questions tests/data/shop_questions.jsonl] [--limit N]
                                [--half dev|test|all] [--unguarded] [--json] [--texts FILE]

Only questions whose decision is `Passages` count: the others never reach the generator. Knowledge
is the sample shop in a database of its own; `DATA_DIR` gives the models. Settings come from the
environment as ever. `--unguarded` shows what the generator writes with nobody checking.

What the columns mean: `model`, `asked`, `quote`, `handoff` are shares of the replies by where they
came from; `asked` are questions back. `right`: the numbers of the reply all stand in the right answer
and most of its words do, or it quotes the right entry, or has it among its choices. `wrong`: a reply of the model that is not right, or any to a question
whose answer is not in the knowledge; quoting there is no claim.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kefu.answers.cache import open_answers
from kefu.answers.flights import Flights
from kefu.inference.embedded import open_models
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.intent.service import open_intents
from kefu.knowledge.entry import Entry
from kefu.knowledge.match import Passages
from kefu.knowledge.sample_shop import sample_entries
from kefu.knowledge.service import open_knowledge
from kefu.language import detect
from kefu.moderation.service import open_moderation
from kefu.paraphrase.judge import Judge
from kefu.paraphrase.loading import DEFAULT
from kefu.reading.loading import open_reader
from kefu.review.queue import ReviewQueue
from kefu.settings import LogSettings, ModerationSettings, load_settings
from kefu.stores.answers import SqlAnswers
from kefu.stores.intents import SqlActions
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.moderation import SqlModeration
from kefu.stores.opening import open_database
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics, configure_logging
from kefu.terms import fold, lexical_terms
from kefu.turn.context import Contexts, Conversation
from kefu.turn.draft import Draft
from kefu.turn.gate import Gate
from kefu.turn.pipeline import Pipeline
from kefu.turn.prompt import PromptWriter
from kefu.turn.quantities import find_quantities
from kefu.turn.reply import Message
from kefu.turn.writer import Writer

QUESTIONS = Path(__file__).parent.parent / "tests" / "data" / "shop_questions.jsonl"
# Of a right reply's words this share stands in the right answer. Copies have all of them.
RIGHT_SHARE = 0.6
MAX_TOKENS = 100
AT_ONCE = 2


@dataclass(frozen=True)
class Question:
    query: str
    language: str
    kind: str
    faq_id: str | None

    @property
    def half(self) -> str:
        """Questions about the same entry are in the same half."""
        return ("dev", "test")[zlib.crc32((self.faq_id or self.query).encode()) % 2]


@dataclass(frozen=True)
class Outcome:
    """A question with its reply. `source`: model, asked, quote or handoff."""

    question: Question
    source: str
    text: str
    cited: tuple[str, ...]
    nearest: str
    first_token_ms: float | None
    is_right: bool

    @property
    def is_wrong_claim(self) -> bool:
        return self.source == "model" and not self.is_right


def read_questions(path: Path) -> list[Question]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Question(**json.loads(line)) for line in lines]


def judge(
    question: Question,
    source: str,
    text: str,
    cited: tuple[str, ...],
    entries: Mapping[str, Entry],
) -> bool:
    """Whether a reply answers: by the right entry's words, or by quoting it."""
    if question.faq_id is None:
        return source == "handoff"
    if source != "model":
        return source in ("quote", "asked") and question.faq_id in cited
    gold = entries[question.faq_id].answer
    said, known = lexical_terms(text), lexical_terms(gold)
    share = len(said.keys() & known.keys()) / max(1, len(said))
    numbers = {q.value for q in find_quantities(fold(text))}
    return share >= RIGHT_SHARE and numbers <= {q.value for q in find_quantities(fold(gold))}


def summarise(outcomes: Iterable[Outcome]) -> list[dict[str, object]]:
    """A row for each kind and language, and one for all."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        question = outcome.question
        groups.setdefault((question.kind, question.language), []).append(outcome)
        groups.setdefault(("all", ""), []).append(outcome)
    return [_row(kind, language, found) for (kind, language), found in sorted(groups.items())]


def _row(kind: str, language: str, outcomes: list[Outcome]) -> dict[str, object]:
    count = len(outcomes)

    def of(source: str, *, right: bool | None = None) -> int:
        return sum(o.source == source and (right is None or o.is_right == right) for o in outcomes)

    return {
        "kind": kind,
        "language": language,
        "n": count,
        "model": round(of("model") / count, 3),
        "asked": round(of("asked") / count, 3),
        "quote": round(of("quote") / count, 3),
        "handoff": round(of("handoff") / count, 3),
        "model_right": of("model", right=True),
        "model_wrong": sum(o.is_wrong_claim for o in outcomes),
        "asked_right": of("asked", right=True),
        "quote_right": of("quote", right=True),
        "quote_other": of("quote", right=False),
    }


def print_table(rows: list[dict[str, object]]) -> None:
    columns = list(rows[0])
    print(" ".join(f"{column:>12}" for column in columns))
    for row in rows:
        print(" ".join(f"{row[column]!s:>12}" for column in columns))


def readable(outcomes: Iterable[Outcome], entries: Mapping[str, Entry]) -> Iterator[str]:
    for outcome in outcomes:
        question = outcome.question
        gold = entries[question.faq_id].answer if question.faq_id else "(not in the knowledge)"
        mark = "RIGHT" if outcome.is_right else "WRONG" if outcome.is_wrong_claim else "-"
        yield f"[{question.kind} {question.language}] {question.query}"
        yield f"   {outcome.source:8} {mark:6} {outcome.text}"
        yield f"   nearest         {outcome.nearest}"
        yield f"   should say      {gold}\n"


@dataclass(frozen=True)
class Bench:
    """The pipeline of a desk, without the desk."""

    pipeline: Pipeline
    unguarded: bool = False

    async def ask(self, question: Question) -> Outcome | None:
        """None where the question does not reach the generator."""
        pipeline, language = self.pipeline, detect(question.query)
        vector = await pipeline.encoder.encode(question.query)
        matches = await pipeline.knowledge.search(question.query, vector, language)
        found = pipeline.knowledge.decide(question.query, matches)
        if not isinstance(found, Passages):
            return None
        source, text, cited, first = await self._reply(question.query, found)
        nearest = found.matches[0]
        outcome = Outcome(
            question,
            source,
            text,
            cited,
            f"{nearest.entry.id} {nearest.relevance:.2f} {nearest.entry.answer}",
            first,
            is_right=judge(question, source, text, cited, pipeline.knowledge.entries),
        )
        return outcome

    async def _reply(
        self, query: str, found: Passages
    ) -> tuple[str, str, tuple[str, ...], float | None]:
        if self.unguarded:
            return await self._raw(query, found)
        message = Message("replies", query, max_tokens=MAX_TOKENS)
        talk = Conversation("replies", (), message.received_at_ms)
        reply = await self.pipeline.answer(message, talk, lambda _: None)
        if reply.choices:
            return "asked", reply.text, tuple(choice.id for choice in reply.choices), None
        source = "quote" if reply.source == "faq" else reply.source
        cited = tuple(citation.id for citation in reply.citations)
        return source, reply.text, cited, reply.timings_ms.get("first_token")

    async def _raw(self, query: str, found: Passages) -> tuple[str, str, tuple[str, ...], None]:
        language = detect(query)
        prompt = self.pipeline.writer.prompts.write(query, (), found.matches, language)
        text = ""
        async with aclosing(
            self.pipeline.writer.generator.stream(prompt, max_tokens=MAX_TOKENS)
        ) as pieces:
            async for piece in pieces:
                text += piece.text
        refused = text.strip().startswith(self.pipeline.writer.prompts.refusal(language))
        return "handoff" if refused else "model", text.strip(), (), None


@asynccontextmanager
async def open_bench(data_dir: Path, unguarded: bool) -> AsyncGenerator[Bench]:
    # Every question is written for, whatever was asked before.
    settings = load_settings({"data_dir": data_dir, "answers": {"max_entries": 0}})
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        own = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(open_database(own / "kefu.db", metrics))
        models = await open_models(settings, metrics, stack)
        encoder = await stack.enter_async_context(BatchedEncoder(models.encoder, 8, 64, metrics))
        knowledge = await open_knowledge(SqlKnowledge(database), encoder, settings.knowledge)
        await knowledge.import_entries(sample_entries())
        # Untrained: what is measured here is what the knowledge and the generator do alone.
        intents = await open_intents(
            own / "intents", SqlActions(database), encoder.id, settings.intents, metrics
        )
        stack.callback(intents.close)
        answers = await open_answers(
            SqlAnswers(database),
            knowledge,
            encoder,
            Judge(None, DEFAULT),
            settings.answers,
            metrics,
        )
        # What is measured is the answers: nothing is stopped.
        moderation = await open_moderation(
            SqlModeration(database),
            own / "moderation",
            encoder.id,
            ModerationSettings(enabled=False),
            metrics,
        )
        stack.callback(moderation.close)
        queue = ReviewQueue(SqlReviews(database), settings.review, metrics)
        gate = Gate(moderation, queue, encoder, settings.replies)
        flights = Flights[Draft](answers.count)
        stack.push_async_callback(flights.close)
        prompts = PromptWriter(models.prompt_style)
        contexts = Contexts(SqlTranscript(database), settings.conversation)
        pipeline = Pipeline(
            gate=gate,
            encoder=encoder,
            intents=intents,
            knowledge=knowledge,
            answers=answers,
            writer=Writer(
                models.generator,
                gate,
                prompts,
                answers,
                flights,
                settings.replies,
                metrics,
                open_reader(settings),
            ),
            contexts=contexts,
            default_language=settings.language,
            model_id=settings.generator.id,
            metrics=metrics,
        )
        yield Bench(pipeline, unguarded)


async def measure(bench: Bench, questions: list[Question]) -> list[Outcome]:
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(question: Question) -> Outcome | None:
        async with places:
            return await bench.ask(question)

    outcomes = await asyncio.gather(*map(ask, questions))
    return [outcome for outcome in outcomes if outcome]


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--half", choices=("dev", "test", "all"), default="test")
    parser.add_argument("--unguarded", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--texts", type=Path)
    asked = parser.parse_args()
    configure_logging(LogSettings(level="warning"))
    questions = [
        question
        for question in read_questions(asked.questions)
        if question.kind != "verbatim" and asked.half in ("all", question.half)
    ]
    questions.sort(key=lambda question: zlib.crc32(question.query.encode()))  # all kinds mixed
    async with open_bench(asked.data_dir, asked.unguarded) as bench:
        outcomes = await measure(bench, questions[: asked.limit or None])
        if asked.texts:
            lines = readable(outcomes, bench.pipeline.knowledge.entries)
            asked.texts.write_text("\n".join(lines), encoding="utf-8")
    rows = summarise(outcomes)
    if asked.json:
        print(json.dumps({"rows": rows, "outcomes": list(map(asdict, outcomes))}, indent=1))
    else:
        print_table(rows)


if __name__ == "__main__":
    asyncio.run(main())
