"""Passages of documents, validity, ratings, golden questions and the answer cache."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _turn_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("choices", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("standalone_question", sa.Text, nullable=False, server_default=""),
    ]


def _entry_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("kind", sa.String(16), nullable=False, server_default="faq"),
        sa.Column("source", sa.Text, nullable=False, server_default=""),
        sa.Column("page", sa.Integer),
        sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("valid_from", sa.Date),
        sa.Column("valid_until", sa.Date),
    ]


def upgrade() -> None:
    for column in _turn_columns():
        op.add_column("turns", column)
    for column in _entry_columns():
        op.add_column("entries", column)
    op.create_index("entries_by_source", "entries", ["source"])
    op.create_table(
        "ratings",
        sa.Column(
            "turn_id",
            sa.String(64),
            sa.ForeignKey("turns.turn_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("is_good", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "golden_questions",
        sa.Column("question", sa.String(500), primary_key=True),
        sa.Column("entry_id", sa.String(128), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "cached_answers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("intent_label", sa.String(128), nullable=False),
        sa.Column("intent_score", sa.Float, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("citations", sa.JSON, nullable=False),
        sa.Column("entry_hashes", sa.JSON, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("edited", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("encoder_id", sa.String(128), nullable=False),
        sa.Column("vector", sa.LargeBinary),
        sa.Column("exact_hits", sa.Integer, nullable=False, server_default="0"),
        sa.Column("semantic_hits", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("last_hit_at_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("cached_answers", "golden_questions", "ratings"):
        op.drop_table(table)
    op.drop_index("entries_by_source", "entries")
    for column in _entry_columns():
        op.drop_column("entries", column.name)
    for column in _turn_columns():
        op.drop_column("turns", column.name)
