"""Create the tables of the blacklist, the whitelist and access codes."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables of lists and access codes, unless an interrupted run has done so."""
    op.create_table(
        "blacklisted_values",
        sa.Column("kind", exact_text(20), primary_key=True),
        sa.Column("value", exact_text(150), primary_key=True),
        sa.Column("note", exact_text(200), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "whitelisted_users",
        sa.Column("value", exact_text(150), primary_key=True),
        sa.Column("note", exact_text(200), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "access_codes",
        sa.Column("id", exact_text(32), primary_key=True),
        sa.Column("sha256", exact_text(64), nullable=False),
        sa.Column("note", exact_text(200), nullable=False),
        sa.Column("most_uses", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger),
        sa.Column("revoked_us", sa.BigInteger),
        sa.UniqueConstraint("sha256", name="uq_access_codes_sha256"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    op.create_table(
        "access_code_uses",
        sa.Column("user_id", exact_text(32), primary_key=True),
        sa.Column("code_id", exact_text(32), primary_key=True),
        sa.Column("redeemed_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    """Drop the four tables of lists and access codes with all rows."""
    op.drop_table("access_code_uses")
    op.drop_table("access_codes")
    op.drop_table("whitelisted_users")
    op.drop_table("blacklisted_values")
