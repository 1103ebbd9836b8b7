"""Create the table of people's own finds."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, unless an interrupted run has done so."""
    op.create_table(
        "finds",
        sa.Column("user_id", exact_text(32), primary_key=True),
        sa.Column("identification_id", exact_text(64), primary_key=True),
        sa.Column("song_id", exact_text(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("artists", sa.Text, nullable=False),
        sa.Column("kind", exact_text(16), nullable=False),
        sa.Column("target", exact_text(191), nullable=False),
        sa.Column("channel", exact_text(191)),
        sa.Column("channel_id", exact_text(32)),
        sa.Column("found_us", sa.BigInteger, nullable=False),
        sa.Index("ix_finds_user_found", "user_id", "found_us"),
        sa.Index("ix_finds_found", "found_us"),
        sa.Index("ix_finds_channel", "channel"),
        sa.Index("ix_finds_channel_id", "channel_id"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table with all finds."""
    op.drop_table("finds")
