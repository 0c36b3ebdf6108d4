"""The tables, for every database kefu runs on. Changes go through `migrations/`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)

metadata = MetaData()

# SQLite gives ever-growing row ids only to a column declared exactly INTEGER PRIMARY KEY.
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

turns = Table(
    "turns",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("turn_id", String(64), nullable=False, unique=True),
    Column("uid", String(128), nullable=False),
    Column("conversation_id", String(64), nullable=False),
    # Given by the caller to make a retry safe; NULLs never collide.
    Column("idempotency_key", String(255)),
    Column("status", String(16), nullable=False),
    Column("question", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("intent_label", String(128), nullable=False),
    Column("intent_score", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("citations", JSON, nullable=False),
    Column("timings_ms", JSON, nullable=False),
    # Entries the customer was asked to choose from ("did you mean").
    Column("choices", JSON, nullable=False, server_default="[]"),
    # A follow-up as it was completed from the turns before it, "" where the words said it all.
    Column("standalone_question", Text, nullable=False, server_default=""),
    Column("error_code", String(64)),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("uid", "idempotency_key"),
    Index("turns_by_uid", "uid", "seq"),
    Index("turns_by_time", "created_at_ms"),
    sqlite_autoincrement=True,
)

entries = Table(
    "entries",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("alternatives", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("language", String(8), nullable=False),
    Column("kind", String(16), nullable=False, server_default="faq"),
    Column("source", Text, nullable=False, server_default=""),
    Column("page", Integer),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("valid_from", Date),
    Column("valid_until", Date),
    Column("content_hash", String(64), nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Index("entries_by_source", "source"),
)

entry_vectors = Table(
    "entry_vectors",
    metadata,
    Column("entry_id", String(128), ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Column("encoder_id", String(128), nullable=False),
    Column("dimensions", Integer, nullable=False),
    # float32, row-major, one row for the question and each alternative.
    Column("vectors", LargeBinary, nullable=False),
)

intent_actions = Table(
    "intent_actions",
    metadata,
    Column("label", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("reply_zh", Text, nullable=False),
    Column("reply_en", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

# What customers thought of a reply.
ratings = Table(
    "ratings",
    metadata,
    Column(
        "turn_id", String(64), ForeignKey("turns.turn_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("is_good", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# Questions whose right entry is known: replayed before a change of the knowledge.
golden_questions = Table(
    "golden_questions",
    metadata,
    Column("question", String(500), primary_key=True),
    # "" where no entry may answer. No foreign key: what a deletion breaks is what is asked.
    Column("entry_id", String(128), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# Generated answers that may be given again.
cached_answers = Table(
    "cached_answers",
    metadata,
    Column("id", String(64), primary_key=True),
    # SHA-256 of everything the answer depends on besides its entries: kefu/answers/key.py.
    Column("key", String(64), nullable=False, unique=True),
    Column("question", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("reply", Text, nullable=False),
    Column("intent_label", String(128), nullable=False),
    Column("intent_score", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("citations", JSON, nullable=False),
    # {entry id: its content hash} of the entries that were read: another hash, and it is void.
    Column("entry_hashes", JSON, nullable=False),
    Column("model", Text, nullable=False),
    Column("pinned", Boolean, nullable=False, server_default=false()),
    Column("edited", Boolean, nullable=False, server_default=false()),
    Column("encoder_id", String(128), nullable=False),
    # float32, of the question; NULL where the answer is for the very same words only.
    Column("vector", LargeBinary),
    Column("exact_hits", Integer, nullable=False, server_default="0"),
    Column("semantic_hits", Integer, nullable=False, server_default="0"),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("last_hit_at_ms", BigInteger, nullable=False),
)

# The operator's words, on top of the starter lexicon.
moderation_words = Table(
    "moderation_words",
    metadata,
    Column("word", String(200), primary_key=True),
    Column("category", String(32), nullable=False),
    # "off" takes a word of the starter lexicon out.
    Column("severity", String(16), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# Innocent phrases that beat a listed word inside them.
allowed_phrases = Table(
    "allowed_phrases",
    metadata,
    Column("phrase", String(200), primary_key=True),
    Column("created_at_ms", BigInteger, nullable=False),
)

# Held messages and replies, and what people decided.
reviews = Table(
    "reviews",
    metadata,
    Column("id", String(64), primary_key=True),
    Column(
        "turn_id",
        String(64),
        ForeignKey("turns.turn_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("uid", String(128), nullable=False),
    # Whose words are in doubt: "customer" or "reply".
    Column("direction", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("category", String(32), nullable=False),
    Column("reasons", JSON, nullable=False),
    # A held reply as it would have gone out.
    Column("draft", JSON),
    Column("status", String(16), nullable=False),
    Column("deadline_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("decided_at_ms", BigInteger),
    Column("decided_by", String(128), nullable=False, server_default=""),
    # What a person wrote instead.
    Column("edited_text", Text, nullable=False, server_default=""),
    Column("delivered_at_ms", BigInteger),
    Index("reviews_by_status", "status", "deadline_ms"),
    Index("reviews_by_delivery", "delivered_at_ms", "status"),
)

# Replies that came after their turn was answered, in the order in which they were given.
deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column(
        "turn_id",
        String(64),
        ForeignKey("turns.turn_id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("uid", String(128), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("deliveries_by_uid", "uid", "seq"),
    sqlite_autoincrement=True,
)

# Texts that people have judged, to learn from. They outlive the conversation; personal data in them
# is masked.
moderation_examples = Table(
    "moderation_examples",
    metadata,
    Column("review_id", String(64), primary_key=True),
    Column("text", Text, nullable=False),
    Column("is_bad", Boolean, nullable=False),
    Column("category", String(32), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# Who decided what and when. Triggers refuse every change of a row.
audit = Table(
    "audit",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    # "kefu", "cli:NAME of the user", "key:ID of the API key".
    Column("actor", String(128), nullable=False),
    Column("action", String(32), nullable=False),
    # A turn, a review or a word.
    Column("subject", String(256), nullable=False),
    Column("details", JSON, nullable=False),
    sqlite_autoincrement=True,
)

# Under which number a desk last held a customer's turn, where several desks may (`Turn.fence`).
fences = Table(
    "fences",
    metadata,
    Column("uid", String(128), primary_key=True),
    Column("fence", BigInteger, nullable=False),
)

# Counters that rise with every change, so that another process notices it.
versions = Table(
    "versions",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("role", String(16), nullable=False),
    # Keys are 256 random bits, so one SHA-256 is enough (docs/decisions/0006-api-keys.md).
    Column("sha256", String(64), nullable=False, unique=True),
    Column("note", String(200), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)
