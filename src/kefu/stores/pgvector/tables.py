"""The tables that are searched: made of what is known, and made anew where that is not what it was.

They are no part of the migrations: a PostgreSQL without pgvector is good for all else, and what they
say can be worked out from `entries` and `entry_vectors` at any time.
"""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from kefu.errors import SettingsError
from kefu.stores.database import Database, reason_of
from kefu.stores.statements import alone

# Raised whenever the rows become others for the same entries.
_FORM = 1

LANGUAGES = ("zh", "en")
EXTENSION = "vector"
_LEAST_VERSION = (0, 8)  # which goes on where too few of the nearest are valid

# Candidates by their vectors: pgvector looks at so many at least on its way to the nearest.
_LOOKED_AT = 200

_DROP = (
    "DROP TABLE IF EXISTS search_entries",
    "DROP TABLE IF EXISTS search_terms",
    "DROP TABLE IF EXISTS search_languages",
    "DROP TABLE IF EXISTS search_about",
)
_CREATE = (
    "CREATE TABLE search_about (encoder_id text, dimensions integer, form integer)",
    # One row for each entry that may be found. `found_by`: numbers of its terms and exact keys.
    """
    CREATE TABLE search_entries (
        entry_id varchar(128) PRIMARY KEY,
        content_hash varchar(64) NOT NULL,
        language varchar(8) NOT NULL,
        valid_from date,
        valid_until date,
        text_units integer NOT NULL,
        found_by integer[] NOT NULL,
        question_terms bytea NOT NULL,
        text_terms bytea NOT NULL,
        near halfvec({dimensions}) NOT NULL
    )
    """,
    # In how many questions and in how many texts of a language each term is.
    """
    CREATE TABLE search_terms (
        language varchar(8) NOT NULL,
        term integer NOT NULL,
        questions integer NOT NULL,
        texts integer NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (language, term)
    )
    """,
    "CREATE INDEX search_terms_version ON search_terms (version)",
    """
    CREATE TABLE search_languages (
        language varchar(8) PRIMARY KEY,
        questions integer NOT NULL,
        texts integer NOT NULL,
        text_units bigint NOT NULL
    )
    """,
)


def prepare(database: Database, encoder_id: str, dimensions: int) -> None:
    """Make the tables where there are none for this encoder. Raises `SettingsError` where the database
    has no pgvector."""

    def change(connection: Connection) -> None:
        alone(connection, "search")
        if _about(connection) == (encoder_id, dimensions, _FORM):
            return
        for statement in (*_DROP, *_CREATE):
            connection.execute(text(statement.format(dimensions=dimensions)))
        add = text("INSERT INTO search_about VALUES (:encoder_id, :dimensions, :form)")
        about = {"encoder_id": encoder_id, "dimensions": dimensions, "form": _FORM}
        connection.execute(add, about)

    try:
        database.write_apart(_need_extension)
        database.write_apart(change)
    except DBAPIError as error:
        raise SettingsError(
            f"knowledge.search is pgvector, and the database cannot do that: {reason_of(error)} "
            "Install pgvector 0.8 or later (postgresql-NN-pgvector) on its server and let an administrator "
            "run CREATE EXTENSION vector, or leave knowledge.search at memory."
        ) from error


# A list of what is not yet in its place would be read with every question.
_INDEXES = {
    "search_entries_found_by": "USING gin (found_by) WITH (fastupdate = off)",
    **{
        f"search_entries_near_{language}": f"USING hnsw (near halfvec_ip_ops) "
        f"WHERE language = '{language}'"
        for language in LANGUAGES
    },
}


def make_quick(database: Database) -> None:
    """Make the indexes that are missing. Takes a minute for 100,000 entries."""

    def change(connection: Connection) -> None:
        alone(connection, "search")
        there = text("SELECT indexname FROM pg_indexes WHERE tablename = 'search_entries'")
        if _INDEXES.keys() <= set(connection.execute(there).scalars()):
            return
        # Beyond this an index is made ten times as slowly; several processes would need shared memory,
        # of which containers have little.
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        connection.execute(text("SET LOCAL max_parallel_maintenance_workers = 0"))
        for name, how in _INDEXES.items():
            connection.execute(text(f"CREATE INDEX IF NOT EXISTS {name} ON search_entries {how}"))
        connection.execute(text("ANALYZE search_entries, search_terms"))

    database.write_apart(change)


def make_slow(connection: Connection) -> None:
    """Drop the indexes, for more rows than are quickly added one by one."""
    for name in _INDEXES:
        connection.execute(text(f"DROP INDEX IF EXISTS {name}"))


def look_far(connection: Connection) -> None:
    """For this transaction: nearest neighbours with more candidates than pgvector's own 40, and on,
    where too few of them are valid today; and by the indexes, whatever the planner knows of them."""
    connection.execute(
        text(
            f"SELECT set_config('hnsw.ef_search', '{_LOOKED_AT}', true), "
            "set_config('hnsw.iterative_scan', 'strict_order', true), "
            "set_config('enable_seqscan', 'off', true)"
        )
    )


def _need_extension(connection: Connection) -> None:
    """Who may not make it need not, where it is there."""
    alone(connection, "search")
    if _installed(connection) is None:
        connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}"))
    installed = _installed(connection)
    if installed is None or tuple(map(int, installed.split(".")[:2])) < _LEAST_VERSION:
        raise SettingsError(
            f"knowledge.search is pgvector, and the database has {installed}, where 0.8 is the least. "
            "Update it on its server and run ALTER EXTENSION vector UPDATE."
        )


def _installed(connection: Connection) -> str | None:
    """The version of the extension in this database."""
    query = text("SELECT extversion FROM pg_extension WHERE extname = :name")
    version: str | None = connection.execute(query, {"name": EXTENSION}).scalar()
    return version


def _about(connection: Connection) -> tuple[str, int, int] | None:
    if connection.execute(text("SELECT to_regclass('search_about')")).scalar() is None:
        return None
    row = connection.execute(text("SELECT encoder_id, dimensions, form FROM search_about")).first()
    return tuple(row) if row else None
