"""Add what clip, or which moment of a VOD, a correction is about."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import exact_text

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, unless an interrupted run has done so."""
    if "recording" not in _columns():
        op.add_column("play_corrections", sa.Column("recording", exact_text(160)))


def downgrade() -> None:
    """Drop the corrections of clips and VODs, and the column."""
    if "recording" in _columns():
        op.execute("DELETE FROM play_corrections WHERE recording IS NOT NULL")
        op.drop_column("play_corrections", "recording")


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("play_corrections")}
