"""Create the table of website settings, which the operator changes while servers run."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `website_settings`, unless an interrupted run has done so."""
    op.create_table(
        "website_settings",
        sa.Column("name", exact_text(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `website_settings` with all rows."""
    op.drop_table("website_settings")
