"""Create the table of what an operator chose for the recognizers."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, unless an interrupted run has done so."""
    op.create_table(
        "recognizer_overrides",
        sa.Column("name", exact_text(32), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table: the settings hold again."""
    op.drop_table("recognizer_overrides")
