"""Create the table of set lists of whole VODs."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, unless an interrupted run has done so."""
    op.create_table(
        "video_set_lists",
        sa.Column("video", exact_text(32), primary_key=True),
        sa.Column("status", exact_text(16), nullable=False),
        sa.Column("made_by", exact_text(64), nullable=False),
        sa.Column("channel_id", exact_text(32)),
        sa.Column("body", sa.Text(2**24 - 1), nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("captured_s", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("owner", exact_text(191), nullable=False),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Index("ix_video_set_lists_status_created", "status", "created_us"),
        sa.Index("ix_video_set_lists_made_by_created", "made_by", "created_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table with all set lists."""
    op.drop_table("video_set_lists")
