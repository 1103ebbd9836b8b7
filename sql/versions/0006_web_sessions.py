"""Create the table of the website's sessions."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `web_sessions`, unless an interrupted run has done so."""
    op.create_table(
        "web_sessions",
        sa.Column("sha256", exact_text(64), primary_key=True),
        sa.Column("user_id", exact_text(32), nullable=False),
        sa.Column("login", exact_text(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("tokens", sa.Text, nullable=False),
        sa.Column("token_expires_us", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("validated_us", sa.BigInteger, nullable=False),
        sa.Column("refreshing_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Index("ix_web_sessions_user_created", "user_id", "created_us"),
        sa.Index("ix_web_sessions_due", "due_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the table `web_sessions` with all rows."""
    op.drop_table("web_sessions")
