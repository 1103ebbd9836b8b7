"""Create the evidence of the learned catalog: fingerprints of what providers named."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, unless an interrupted run has done so."""
    op.create_table(
        "learned_songs",
        sa.Column("song_key", exact_text(100), primary_key=True),
        sa.Column("song", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Index("ix_learned_songs_version", "version"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "learned_captures",
        sa.Column("id", exact_text(80), primary_key=True),
        sa.Column("identification_id", exact_text(64), nullable=False),
        sa.Column("song_key", exact_text(100), nullable=False),
        sa.Column("kind", exact_text(16), nullable=False),
        sa.Column("target", exact_text(191), nullable=False),
        sa.Column("channel", exact_text(64)),
        sa.Column("channel_id", exact_text(32)),
        sa.Column("offset_s", sa.Float(53), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("began_us", sa.BigInteger),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Index("ix_learned_captures_song", "song_key", "created_us"),
        sa.Index("ix_learned_captures_identification", "identification_id"),
        sa.Index("ix_learned_captures_created_bytes", "created_us", "bytes"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the tables with all fingerprints; the catalog made of them is deleted when learning is on again."""
    op.drop_table("learned_captures")
    op.drop_table("learned_songs")
