"""Create the table of slots, and add a key's number of concurrent jobs and the end of rate counters."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create what is missing: MySQL runs an interrupted migration again."""
    op.create_table(
        "job_slots",
        sa.Column("holder", exact_text(80), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", exact_text(32), nullable=False),
        sa.Column("kind", exact_text(16), nullable=False),
        sa.Column("target", exact_text(191), nullable=False),
        sa.Column("at_seconds", sa.Float(53)),
        sa.Column("taken_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    there = sa.inspect(op.get_bind())

    def has_index(table: str, name: str) -> bool:
        return any(index["name"] == name for index in there.get_indexes(table))

    def has_column(table: str, name: str) -> bool:
        return any(column["name"] == name for column in there.get_columns(table))

    if not has_column("api_keys", "at_once"):
        op.add_column("api_keys", sa.Column("at_once", sa.Integer))
    if not has_column("rate_counters", "ends_us"):
        column = sa.Column("ends_us", sa.BigInteger, nullable=False, server_default="0")
        op.add_column("rate_counters", column)
    if not has_index("job_slots", "ix_job_slots_taken"):
        op.create_index("ix_job_slots_taken", "job_slots", ["taken_us"])
    if not has_index("rate_counters", "ix_rate_counters_ends"):
        op.create_index("ix_rate_counters_ends", "rate_counters", ["ends_us"])


def downgrade() -> None:
    """Drop the table, the columns and the index."""
    op.drop_index("ix_rate_counters_ends", "rate_counters")
    with op.batch_alter_table("rate_counters") as counters:
        counters.drop_column("ends_us")
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_column("at_once")
    op.drop_table("job_slots")
