"""All sections together."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

import platformdirs
from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from kefu.settings.answers import AnswerSettings
from kefu.settings.inference import EncoderSettings, GeneratorSettings
from kefu.settings.intent import IntentSettings
from kefu.settings.knowledge import KnowledgeSettings
from kefu.settings.moderation import ModerationSettings
from kefu.settings.review import ReviewSettings
from kefu.settings.server import ServerSettings
from kefu.settings.telemetry import LogSettings, TracesSettings
from kefu.settings.turn import ConversationSettings, RepliesSettings


def default_data_dir() -> Path:
    return Path(platformdirs.user_data_dir("kefu", appauthor=False))


class Settings(BaseSettings):
    """Everything kefu can be told. Load with `load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="KEFU_", env_nested_delimiter="__"
    )
    toml_file: ClassVar[Path | None] = None

    data_dir: Path = Field(default_factory=default_data_dir, description="All that kefu writes.")
    database: str = Field(
        "",
        repr=False,
        description="PostgreSQL for several desks, as postgresql://user:password@host/name; empty: "
        "SQLite in `data_dir`.",
    )
    redis: str = Field(
        "",
        repr=False,
        description="Redis of several desks on one `database`, as redis://:password@host:6379/0; "
        "empty: one desk.",
    )
    language: Literal["zh", "en"] = Field("zh", description="For texts where no customer decides.")
    server: ServerSettings = ServerSettings()
    encoder: EncoderSettings = EncoderSettings()
    generator: GeneratorSettings = GeneratorSettings()
    conversation: ConversationSettings = ConversationSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    intents: IntentSettings = IntentSettings()
    answers: AnswerSettings = AnswerSettings()
    replies: RepliesSettings = RepliesSettings()
    moderation: ModerationSettings = ModerationSettings()
    review: ReviewSettings = ReviewSettings()
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()

    @model_validator(mode="after")
    def _pgvector_needs_a_database(self) -> Self:
        if self.knowledge.search == "pgvector" and not self.database:
            raise ValueError(
                "knowledge.search is pgvector, which is in a PostgreSQL: give its address as database too"
            )
        return self

    @model_validator(mode="after")
    def _redis_needs_a_database(self) -> Self:
        if self.redis and not self.database:
            raise ValueError(
                "redis is for several desks, which share a PostgreSQL: give its address as database too"
            )
        return self

    @property
    def database_at(self) -> Path | str:
        """Of an SQLite file the path, of PostgreSQL the URL."""
        return self.database or self.data_dir / "kefu.db"

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"

    @property
    def intents_dir(self) -> Path:
        return self.data_dir / "intents"

    @property
    def answers_dir(self) -> Path:
        return self.data_dir / "answers"

    @property
    def moderation_dir(self) -> Path:
        return self.data_dir / "moderation"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=cls.toml_file),
        )
