"""Create the table of covers and previews at services."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `link_media`, unless an interrupted run has done so."""
    op.create_table(
        "link_media",
        sa.Column("name", exact_text(80), primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `link_media` with all rows: answers keep addresses that lead nowhere then."""
    op.drop_table("link_media")
