"""Store webhooks and what is to be sent to them."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, unless an interrupted run has done so."""
    op.create_table(
        "webhooks",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("owner", exact_text(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", exact_text(100), nullable=False),
        sa.Column("channels", sa.Text, nullable=False),
        sa.Column("secret", exact_text(100), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("disabled", exact_text(200)),
        sa.Column("failing_us", sa.BigInteger),
        sa.Column("last_us", sa.BigInteger),
        sa.Column("last_error", exact_text(200)),
        sa.Index("ix_webhooks_owner", "owner"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", exact_text(64), primary_key=True),
        sa.Column("webhook_id", exact_text(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger),
        sa.Column("lease_us", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Index("ix_webhook_deliveries_due", "due_us"),
        sa.Index("ix_webhook_deliveries_webhook", "webhook_id", "created_us"),
        sa.Index("ix_webhook_deliveries_created", "created_us"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop them, with what was still to be sent."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
