"""Store which channel has which login, and ids beside the logins of what is set up for channels and users."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_IDS = (
    ("song_tokens", "channel_id"),
    ("watches", "channel_id"),
    ("blacklisted_values", "user_id"),
    ("whitelisted_users", "user_id"),
)


def upgrade() -> None:
    """Create what an interrupted run has not. Ids are filled in later, when Twitch names them."""
    op.create_table(
        "channel_names",
        sa.Column("login", exact_text(64), primary_key=True),
        sa.Column("channel_id", exact_text(32), primary_key=True),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Index("ix_channel_names_channel", "channel_id"),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    for table, column in _IDS:
        if column not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}:
            op.add_column(table, sa.Column(column, exact_text(32)))


def downgrade() -> None:
    """Drop the table and the ids: rows are of logins again."""
    for table, column in _IDS:
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
    op.drop_table("channel_names")
