"""Create the tables of song tokens and reports of wrong answers, and mark disputed answers."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the column unless an interrupted run has created it."""
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("identifications")}
    if "doubted_us" not in columns:
        op.add_column("identifications", sa.Column("doubted_us", sa.BigInteger))
    op.create_table(
        "song_tokens",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("sha256", exact_text(64), nullable=False),
        sa.Column("channel", exact_text(64), nullable=False),
        sa.Column("note", exact_text(200), nullable=False),
        sa.Column("made_by", exact_text(64), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("revoked_us", sa.BigInteger),
        sa.Column("used_us", sa.BigInteger),
        sa.UniqueConstraint("sha256", name="uq_song_tokens_sha256"),
        sa.Index("ix_song_tokens_channel", "channel"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "reports",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("identification_id", exact_text(64), nullable=False),
        sa.Column("reporter", exact_text(96), nullable=False),
        sa.Column("kind", exact_text(16), nullable=False),
        sa.Column("target", exact_text(191), nullable=False),
        sa.Column("reason", exact_text(20), nullable=False),
        sa.Column("note", exact_text(500), nullable=False),
        sa.Column("song", exact_text(300), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("handled_us", sa.BigInteger),
        sa.UniqueConstraint("identification_id", "reporter", name="uq_reports_identification_reporter"),
        sa.Index("ix_reports_created", "created_us"),
        sa.Index("ix_reports_target_created", "target", "created_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the tables and the column."""
    op.drop_table("reports")
    op.drop_table("song_tokens")
    op.drop_column("identifications", "doubted_us")
