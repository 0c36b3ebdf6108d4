"""Wiring: what a desk is made of, opened in order and closed in reverse. Nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from threadpoolctl import threadpool_limits

from kefu import __version__
from kefu.answers import endpoints as answer_endpoints
from kefu.answers.cache import AnswerCache, open_answers
from kefu.answers.calibrations import Calibrations
from kefu.answers.flights import Flights
from kefu.conversations import endpoints as conversation_endpoints
from kefu.conversations.retention import sweep_for_ever
from kefu.gaps import endpoints as gap_endpoints
from kefu.http import health
from kefu.http.access import Access
from kefu.http.auth import ApiKeys
from kefu.http.guards import BodyLimit, HostGuard, OpenRequests, OriginGuard, RequestHeaders
from kefu.http.health import Health
from kefu.http.problems import describe_problems, install_problem_handlers
from kefu.inference.embedded import Models, open_models
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.intent import endpoints as intent_endpoints
from kefu.intent.sample_shop import teach_sample
from kefu.intent.service import Intents, open_intents
from kefu.knowledge import endpoints as knowledge_endpoints
from kefu.knowledge.documents.limits import MAX_DOCUMENT_BYTES
from kefu.knowledge.sample_shop import sample_entries
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.limits import usable_cpus
from kefu.moderation import endpoints as moderation_endpoints
from kefu.moderation.service import Moderation, open_moderation
from kefu.paraphrase.loading import DEFAULT, open_judge
from kefu.reading.loading import open_reader
from kefu.reading.shared import SharedReader
from kefu.review import endpoints as review_endpoints
from kefu.review.queue import ReviewQueue
from kefu.settings import Settings
from kefu.stores.answers import SqlAnswers
from kefu.stores.audit import SqlAudit
from kefu.stores.database import Database, Versions
from kefu.stores.golden import SqlGolden
from kefu.stores.intents import SqlActions
from kefu.stores.keys import SqlKeys
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.moderation import SqlModeration
from kefu.stores.opening import open_database, open_search, open_shared
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics, watch_loop_lag
from kefu.turn import endpoints as turn_endpoints
from kefu.turn import openai as openai_endpoints
from kefu.turn import ratings as rating_endpoints
from kefu.turn import updates as update_endpoints
from kefu.turn.context import Contexts
from kefu.turn.desk import Desk
from kefu.turn.draft import Draft
from kefu.turn.gate import Gate
from kefu.turn.limit import ConcurrencyLimit
from kefu.turn.pipeline import Pipeline
from kefu.turn.prompt import PromptWriter, require_room
from kefu.turn.queues import UidQueues
from kefu.turn.rates import OwnRates
from kefu.turn.services import TurnServices
from kefu.turn.updates import Updates
from kefu.turn.verdicts import Verdicts
from kefu.turn.writer import Writer
from kefu.web import endpoints as web_endpoints
from kefu.web.endpoints import SAFE_HEADERS

log = structlog.get_logger("kefu.app")

# How soon a change made by another process (`kefu kb import`) is noticed.
WATCH_EVERY_SECONDS = 1.0
IMPORT_PATH = "/api/knowledge/import"
ENTRIES_PATH = "/api/knowledge/entries/"
# An answer of 8,000 characters and 100 alternatives of 500, in JSON and in Chinese.
MAX_ENTRY_BYTES = 1024 * 1024

Look = Callable[[], Awaitable[object]]
OpenModels = Callable[[Settings, Metrics, AsyncExitStack], Awaitable[Models]]


@dataclass(frozen=True)
class Services:
    """Everything that is open while the desk runs."""

    database: Database
    keys: ApiKeys
    encoder: BatchedEncoder
    intents: Intents
    knowledge: Knowledge
    answers: AnswerCache
    golden: SqlGolden
    moderation: Moderation
    reviews: SqlReviews
    audit: SqlAudit
    verdicts: Verdicts
    updates: Updates
    transcript: SqlTranscript
    models: Models
    desk: Desk
    turn: TurnServices


def create_app(
    settings: Settings, *, demo: bool = False, open_models: OpenModels = open_models
) -> FastAPI:
    """The desk as an ASGI application. `demo` fills an empty knowledge with the sample shop.

    `open_models` is where tests put models of their own.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            services = await _open_services(stack, settings, metrics, open_models, demo)
            app.state.services = services
            app.state.turn = services.turn
            app.state.updates = services.updates
            app.state.access = Access(services.keys, settings.server.is_loopback)
            app.state.health = _health(services)
            yield

    app = FastAPI(
        title="kefu",
        version=__version__,
        summary="A customer-service desk that runs on your own computer.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.metrics = metrics
    for module in (
        turn_endpoints,
        update_endpoints,
        rating_endpoints,
        openai_endpoints,
        conversation_endpoints,
        review_endpoints,
        moderation_endpoints,
        gap_endpoints,
        knowledge_endpoints,
        answer_endpoints,
        intent_endpoints,
        health,
        web_endpoints,
    ):
        app.include_router(module.router)
    # Before FastAPI's own route, which is there to be described.
    app.router.routes.insert(0, Route("/chat", turn_endpoints.chat_directly, methods=["POST"]))
    install_problem_handlers(app)
    describe_problems(app)
    _add_guards(app, settings)
    return app


async def _open_services(
    stack: AsyncExitStack,
    settings: Settings,
    metrics: Metrics,
    open_models: OpenModels,
    demo: bool,
) -> Services:
    # The products of a message take a third of a millisecond on one core. Spread over cores that
    # llama.cpp keeps busy they take 20, all the while holding the event loop.
    stack.enter_context(threadpool_limits(1, user_api="blas"))
    database = stack.enter_context(open_database(settings.database_at, metrics))
    transcript = SqlTranscript(database)
    keys = ApiKeys(SqlKeys(database))
    models = await open_models(settings, metrics, stack)
    require_room(settings, models.prompt_style)
    encoder = await stack.enter_async_context(
        BatchedEncoder(
            models.encoder, settings.encoder.max_batch, settings.encoder.max_waiting, metrics
        )
    )
    search = await asyncio.to_thread(open_search, settings, database, encoder)
    knowledge = await open_knowledge(SqlKnowledge(database), encoder, settings.knowledge, search)
    if demo and not knowledge.entries:
        await knowledge.import_entries(sample_entries())
    metrics.knowledge_entries.set_function(lambda: len(knowledge.entries))
    intents = await open_intents(
        settings.intents_dir, SqlActions(database), encoder.id, settings.intents, metrics
    )
    stack.callback(intents.close)
    if demo and intents.version is None:
        await teach_sample(intents, models.encoder)
    judge = open_judge(settings)
    calibrations = Calibrations(settings.answers_dir, DEFAULT)
    calibrations.apply_to(judge)
    answers = await open_answers(
        SqlAnswers(database), knowledge, encoder, judge, settings.answers, metrics
    )
    stack.push_async_callback(answers.close)
    moderation = await open_moderation(
        SqlModeration(database),
        settings.moderation_dir,
        encoder.id,
        settings.moderation,
        metrics,
    )
    stack.callback(moderation.close)
    encoder.compare_with(
        lambda: [*intents.compared_with, *moderation.compared_with, *knowledge.compared_with]
    )
    reviews = SqlReviews(database)
    queue = ReviewQueue(reviews, settings.review, metrics)
    gate = Gate(moderation, queue, encoder, settings.replies)
    flights = Flights[Draft](answers.count)
    stack.push_async_callback(flights.close)
    own_turns = UidQueues(settings.conversation.max_waiting_per_uid)
    shared = await open_shared(settings, own_turns, stack)
    contexts = Contexts(transcript, settings.conversation, shared.talks if shared else None)
    prompts = PromptWriter(models.prompt_style)
    if models.warm is not None:
        await models.warm(prompts.openings())
    reader, limit = open_reader(settings), ConcurrencyLimit(settings.server.aim_seconds, metrics)
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
            SharedReader(reader, max(1, usable_cpus() // 2)) if reader else None,
            limit.aside,
        ),
        contexts=contexts,
        default_language=settings.language,
        model_id=settings.generator.id,
        metrics=metrics,
    )
    queues = shared.turns if shared else own_turns
    desk = Desk(
        pipeline,
        contexts,
        transcript,
        queue,
        queues,
        limit,
        settings.conversation,
        metrics,
        rates=shared.rates if shared else _own_rates(settings),
        masks_transcripts=settings.moderation.mask_transcripts,
    )
    stack.push_async_callback(desk.close, settings.server.shutdown_seconds)
    updates = Updates(reviews, settings.conversation, settings.server.heartbeat_seconds)
    verdicts = Verdicts(
        pipeline,
        contexts,
        queues,
        transcript,
        reviews,
        queue,
        updates.doorbell,
        settings,
        metrics,
    )
    stack.push_async_callback(verdicts.close)
    if shared:
        shared.join(updates.doorbell, answers)
        await stack.enter_async_context(shared.channels)
    _keep_running(stack, watch_loop_lag(metrics))
    _keep_running(stack, sweep_for_ever(transcript, settings.conversation.retention_days))
    looks: dict[str, Look] = {
        "knowledge": knowledge.refresh,
        "intents": intents.refresh,
        "answers": answers.refresh,
        "reviews": verdicts.deliver_due,
        "calibration": lambda: asyncio.to_thread(calibrations.apply_to, judge),
        "keys": lambda: asyncio.to_thread(keys.reload),
    }
    _keep_running(stack, _watch(looks, database.versions))
    # By itself: a list of 200,000 words takes seconds to be built.
    _keep_running(stack, _watch({"moderation": moderation.refresh}, database.versions))
    turn = TurnServices(desk, contexts, transcript, settings.server.heartbeat_seconds, "kefu")
    return Services(
        database=database,
        keys=keys,
        encoder=encoder,
        intents=intents,
        knowledge=knowledge,
        answers=answers,
        golden=SqlGolden(database),
        moderation=moderation,
        reviews=reviews,
        audit=SqlAudit(database),
        verdicts=verdicts,
        updates=updates,
        transcript=transcript,
        models=models,
        desk=desk,
        turn=turn,
    )


def _own_rates(settings: Settings) -> OwnRates | None:
    per_minute = settings.conversation.max_per_minute
    return OwnRates(per_minute) if per_minute else None


async def _watch(looks: Mapping[str, Look], versions: Versions) -> None:
    """Take over what other processes change: at once where the database tells, within a second else."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def told() -> None:
        with suppress(RuntimeError):  # the loop is closed: the desk has stopped
            loop.call_soon_threadsafe(changed.set)

    versions.call_on_change(told)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_EVERY_SECONDS):
                await changed.wait()
        changed.clear()
        for what, look in looks.items():
            try:
                await look()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                log.warning("refresh_failed", what=what, reason=str(error))


def _keep_running(stack: AsyncExitStack, work: Awaitable[None]) -> None:
    """Run in the background until the stack closes."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_report_crash)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)


def _report_crash(task: asyncio.Future[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background_task_crashed", exc_info=error)


def _health(services: Services) -> Health:
    async def database() -> None:
        await asyncio.to_thread(services.database.ping)

    return Health(
        required={
            "database": database,
            "encoder": services.encoder.ping,
            "knowledge": services.knowledge.ping,
        },
        optional={"generator": services.models.generator.ping},
    )


def _add_guards(app: FastAPI, settings: Settings) -> None:
    """The last one added is the first one a request meets."""
    server = settings.server
    origins = frozenset(server.allowed_origins)

    def body_limit(path: str) -> int:
        if path == IMPORT_PATH:
            return MAX_DOCUMENT_BYTES
        return MAX_ENTRY_BYTES if path.startswith(ENTRIES_PATH) else server.max_body_bytes

    app.add_middleware(BodyLimit, limit=body_limit)
    app.add_middleware(OpenRequests, limit=server.max_open_requests)
    app.add_middleware(OriginGuard, allowed=origins)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After", "X-Request-ID"],
            max_age=3600,
        )
    if server.is_loopback:
        app.add_middleware(HostGuard, allowed=frozenset({server.host, *server.allowed_hosts}))
    app.add_middleware(RequestHeaders, headers=SAFE_HEADERS)
