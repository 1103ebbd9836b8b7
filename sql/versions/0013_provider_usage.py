"""Create the table of providers' usage: questions asked in each period."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `provider_usage`, unless an interrupted run has done so."""
    op.create_table(
        "provider_usage",
        sa.Column("provider", exact_text(32), primary_key=True),
        sa.Column("period", sa.String(10), primary_key=True),
        sa.Column("used", sa.Integer, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `provider_usage` with all rows."""
    op.drop_table("provider_usage")
