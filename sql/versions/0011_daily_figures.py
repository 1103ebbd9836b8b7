"""Create the table of daily counts, for the operator's charts."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `daily_figures`, unless an interrupted run has done so."""
    op.create_table(
        "daily_figures",
        sa.Column("day", exact_text(10), primary_key=True),
        sa.Column("name", exact_text(64), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `daily_figures` with all rows."""
    op.drop_table("daily_figures")
