"""Create the notebook of unknowns: fingerprints of moments for which no song was found."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, unless an interrupted run has done so."""
    op.create_table(
        "unknowns",
        sa.Column("id", exact_text(64), primary_key=True),
        sa.Column("kind", exact_text(16), nullable=False),
        sa.Column("target", exact_text(191), nullable=False),
        sa.Column("channel", exact_text(64)),
        sa.Column("channel_id", exact_text(32)),
        sa.Column("captured_us", sa.BigInteger),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("pieces", sa.Text(2**24 - 1), nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("searched", sa.Text, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("named_us", sa.BigInteger),
        sa.Column("song", exact_text(300), nullable=False),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
        sa.Index("ix_unknowns_created_bytes", "created_us", "bytes"),
        sa.Index("ix_unknowns_named", "named_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table with all fingerprints."""
    op.drop_table("unknowns")
