"""Store which channels many ask about, and which server listens to them."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, unless an interrupted run has done so."""
    op.create_table(
        "channel_askers",
        sa.Column("channel", exact_text(64), primary_key=True),
        sa.Column("asker", exact_text(32), primary_key=True),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Index("ix_channel_askers_seen", "seen_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "hot_channels",
        sa.Column("channel", exact_text(64), primary_key=True),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("owner", exact_text(191), nullable=False),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop them: they hold nothing that is older than some minutes."""
    op.drop_table("hot_channels")
    op.drop_table("channel_askers")
