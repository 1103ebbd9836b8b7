"""Create the tables of API keys and of rate counters."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables `api_keys` and `rate_counters`, unless an interrupted run has done so."""
    op.create_table(
        "api_keys",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("sha256", exact_text(64), nullable=False),
        sa.Column("shown", exact_text(16), nullable=False),
        sa.Column("name", exact_text(100), nullable=False),
        sa.Column("scopes", exact_text(100), nullable=False),
        sa.Column("per_minute", sa.Integer),
        sa.Column("per_day", sa.Integer),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger),
        sa.Column("revoked_us", sa.BigInteger),
        sa.Column("used_us", sa.BigInteger),
        sa.UniqueConstraint("sha256", name="uq_api_keys_sha256"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "rate_counters",
        sa.Column("subject", exact_text(128), primary_key=True),
        sa.Column("window_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("used", sa.Integer, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the tables `api_keys` and `rate_counters` with all rows."""
    op.drop_table("rate_counters")
    op.drop_table("api_keys")
