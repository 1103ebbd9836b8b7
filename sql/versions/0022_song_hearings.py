"""Store where each song was heard."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, unless an interrupted run has done so."""
    op.create_table(
        "song_hearings",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("song_id", exact_text(64), nullable=False),
        sa.Column("isrc", exact_text(12)),
        sa.Column("kind", exact_text(16), nullable=False),
        sa.Column("target", exact_text(191), nullable=False),
        sa.Column("channel", exact_text(191)),
        sa.Column("channel_id", exact_text(32)),
        sa.Column("identification_id", exact_text(64), nullable=False),
        sa.Column("first_us", sa.BigInteger, nullable=False),
        sa.Column("last_us", sa.BigInteger, nullable=False),
        sa.Column("broadcast_id", exact_text(32)),
        sa.Column("at_s", sa.BigInteger),
        sa.Index("ix_song_hearings_song_last", "song_id", "last_us"),
        sa.Index("ix_song_hearings_isrc_last", "isrc", "last_us"),
        sa.Index("ix_song_hearings_kind_last", "kind", "last_us"),
        sa.Index("ix_song_hearings_target", "target", "kind"),
        sa.Index("ix_song_hearings_channel", "channel"),
        sa.Index("ix_song_hearings_channel_id", "channel_id"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop it: answers stay."""
    op.drop_table("song_hearings")
