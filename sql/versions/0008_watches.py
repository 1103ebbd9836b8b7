"""Create the table of watches: channels that the server identifies at an interval."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `watches`, unless an interrupted run has done so."""
    op.create_table(
        "watches",
        sa.Column("channel", exact_text(64), primary_key=True),
        sa.Column("every_seconds", sa.Integer, nullable=False),
        sa.Column("budget", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("state", exact_text(20), nullable=False),
        sa.Column("reason", exact_text(40)),
        sa.Column("made_by", exact_text(64), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("last_us", sa.BigInteger),
        sa.Column("quiet", sa.Integer, nullable=False),
        sa.Column("offline", sa.Integer, nullable=False),
        sa.Column("owner", exact_text(191), nullable=False),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Index("ix_watches_state_next", "state", "next_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `watches` with all rows."""
    op.drop_table("watches")
