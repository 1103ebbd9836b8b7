"""Create the tables of jobs: identifications, and leases on their targets."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables `identifications` and `leases` in the database."""
    op.create_table(
        "identifications",
        sa.Column("id", exact_text(64), primary_key=True),
        sa.Column("target_key", exact_text(191), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("at_seconds", sa.Float(53)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("body", sa.Text(2**24 - 1)),
        **MYSQL_TABLE,
    )
    op.create_index(
        "ix_identifications_target_status_created", "identifications", ["target_key", "status", "created_us"]
    )
    op.create_table(
        "leases",
        sa.Column("target_key", exact_text(191), primary_key=True),
        sa.Column("identification_id", exact_text(64), nullable=False),
        sa.Column("owner", exact_text(191), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the tables `identifications` and `leases` with all rows."""
    op.drop_table("leases")
    op.drop_index("ix_identifications_target_status_created", "identifications")
    op.drop_table("identifications")
