"""The operator's words, held messages, what people decided, and the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_APPEND_ONLY = "the audit is append-only"


def upgrade() -> None:
    op.create_table(
        "moderation_words",
        sa.Column("word", sa.String(200), primary_key=True),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "allowed_phrases",
        sa.Column("phrase", sa.String(200), primary_key=True),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column(
            "turn_id",
            sa.String(64),
            sa.ForeignKey("turns.turn_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("uid", sa.String(128), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("draft", sa.JSON),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("deadline_ms", sa.BigInteger, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("decided_at_ms", sa.BigInteger),
        sa.Column("decided_by", sa.String(128), nullable=False, server_default=""),
        sa.Column("edited_text", sa.Text, nullable=False, server_default=""),
        sa.Column("delivered_at_ms", sa.BigInteger),
    )
    op.create_index("ix_reviews_turn_id", "reviews", ["turn_id"])
    op.create_index("reviews_by_status", "reviews", ["status", "deadline_ms"])
    op.create_index("reviews_by_delivery", "reviews", ["delivered_at_ms", "status"])
    op.create_table(
        "deliveries",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column(
            "turn_id",
            sa.String(64),
            sa.ForeignKey("turns.turn_id", ondelete="CASCADE"),
            nullable=False,
            unique=True,
        ),
        sa.Column("uid", sa.String(128), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_by_uid", "deliveries", ["uid", "seq"])
    op.create_table(
        "moderation_examples",
        sa.Column("review_id", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("is_bad", sa.Boolean, nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes_of_the_audit()


def _refuse_changes_of_the_audit() -> None:
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{event.lower()} BEFORE {event} ON audit "
            f"BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
        )
    # INSERT OR REPLACE deletes without firing the trigger for it. A row without a number of its own
    # has -1 here.
    op.execute(
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit "
        "WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq) "
        "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("update", "delete", "replace"):
            op.execute(f"DROP TRIGGER audit_no_{change}")
    for table in (
        "audit",
        "moderation_examples",
        "deliveries",
        "reviews",
        "allowed_phrases",
        "moderation_words",
    ):
        op.drop_table(table)
