"""What PostgreSQL needs of its own: an audit that only grows, and word of every change.

SQLite has its triggers from 0004; nothing changes there.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "CREATE FUNCTION kefu_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION kefu_refuse()"
    )
    op.execute(
        "CREATE FUNCTION kefu_tell_version() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('kefu_versions', NEW.name || ' ' || NEW.version); "
        "RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER versions_told AFTER INSERT OR UPDATE ON versions "
        "FOR EACH ROW EXECUTE FUNCTION kefu_tell_version()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP TRIGGER versions_told ON versions")
    op.execute("DROP FUNCTION kefu_tell_version")
    op.execute("DROP TRIGGER audit_only_grows ON audit")
    op.execute("DROP FUNCTION kefu_refuse")
