"""Create the tables of what channels' owners decide about their plays."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, unless an interrupted run has done so."""
    op.create_table(
        "play_corrections",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("channel", exact_text(64), nullable=False),
        sa.Column("channel_id", exact_text(32)),
        sa.Column("song_keys", sa.Text, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("going_on", sa.Integer, nullable=False),
        sa.Column("broadcast_id", exact_text(32)),
        sa.Column("from_s", sa.Float),
        sa.Column("to_s", sa.Float),
        sa.Column("title", sa.Text),
        sa.Column("artists", sa.Text, nullable=False),
        sa.Column("was_title", sa.Text, nullable=False),
        sa.Column("was_artists", sa.Text, nullable=False),
        sa.Column("made_by", exact_text(96), nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.Index("ix_play_corrections_channel", "channel"),
        sa.Index("ix_play_corrections_channel_id", "channel_id"),
        sa.Index("ix_play_corrections_until", "until_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "channel_visibility",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("channel", exact_text(64), nullable=False),
        sa.Column("channel_id", exact_text(32)),
        sa.Column("visibility", exact_text(20), nullable=False),
        sa.Column("made_by", exact_text(96), nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.Index("ix_channel_visibility_channel", "channel"),
        sa.Index("ix_channel_visibility_channel_id", "channel_id"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the tables with all corrections and choices."""
    op.drop_table("channel_visibility")
    op.drop_table("play_corrections")
