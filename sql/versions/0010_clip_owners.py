"""Create the table of clips' broadcasters, as Twitch named them."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `clip_owners`, unless an interrupted run has done so."""
    op.create_table(
        "clip_owners",
        sa.Column("slug", exact_text(128), primary_key=True),
        sa.Column("broadcaster_id", exact_text(32), nullable=False),
        sa.Column("login", exact_text(64), nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `clip_owners` with all rows."""
    op.drop_table("clip_owners")
