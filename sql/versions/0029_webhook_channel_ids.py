"""Let webhooks hold the ids of their channels beside their logins."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, unless an interrupted run has done so; the ids are filled in by and by."""
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("webhooks")}
    if "channel_ids" not in known:
        op.add_column("webhooks", sa.Column("channel_ids", sa.Text))


def downgrade() -> None:
    """Drop the column: a renamed channel's plays are told no more."""
    op.drop_column("webhooks", "channel_ids")
