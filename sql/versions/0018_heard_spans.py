"""Store where in a broadcast the sound of an answer is."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, unless an interrupted run has done so."""
    op.create_table(
        "heard_spans",
        sa.Column("identification_id", exact_text(64), primary_key=True),
        sa.Column("broadcast_id", exact_text(32), nullable=False),
        sa.Column("start_s", sa.BigInteger, nullable=False),
        sa.Column("end_s", sa.BigInteger, nullable=False),
        sa.Index("ix_heard_spans_broadcast_start", "broadcast_id", "start_s"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop it: answers stay."""
    op.drop_table("heard_spans")
