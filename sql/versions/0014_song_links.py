"""Create the table of links found for songs."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `song_links`, unless an interrupted run has done so."""
    op.create_table(
        "song_links",
        sa.Column("song", exact_text(80), primary_key=True),
        sa.Column("ids", sa.Text, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `song_links` with all rows."""
    op.drop_table("song_links")
