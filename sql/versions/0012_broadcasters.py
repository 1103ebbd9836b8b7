"""Create the table of broadcasters whose subscribers may ask."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `subscribe_broadcasters`, unless an interrupted run has done so."""
    op.create_table(
        "subscribe_broadcasters",
        sa.Column("user_id", exact_text(32), primary_key=True),
        sa.Column("login", exact_text(64), nullable=False),
        sa.Column("note", exact_text(200), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `subscribe_broadcasters` with all rows."""
    op.drop_table("subscribe_broadcasters")
