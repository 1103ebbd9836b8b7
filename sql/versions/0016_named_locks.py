"""Add a table of locks that serialize transactions."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `named_locks`, unless an interrupted run has done so."""
    op.create_table(
        "named_locks",
        sa.Column("name", exact_text(64), primary_key=True),
        sa.Column("taken", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `named_locks` with all rows."""
    op.drop_table("named_locks")
