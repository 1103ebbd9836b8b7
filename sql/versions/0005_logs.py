"""Create the table of audit log entries."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import MYSQL_TABLE, exact_text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table `log_entries` with its indexes, unless an interrupted run has done so."""
    op.create_table(
        "log_entries",
        sa.Column("moment_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", exact_text(16), nullable=False),
        sa.Column("who", exact_text(64)),
        sa.Column("name", exact_text(100)),
        sa.Column("address", exact_text(45)),
        sa.Column("whole_us", sa.BigInteger),
        sa.Column("what", exact_text(150), nullable=False),
        sa.Column("subject", exact_text(200)),
        sa.Column("code", exact_text(32)),
        sa.Column("status", sa.Integer),
        sa.Column("ms", sa.Float(53)),
        sa.Column("before_value", sa.Text),
        sa.Column("after_value", sa.Text),
        sa.Column("request_id", exact_text(32)),
        if_not_exists=True,
        **MYSQL_TABLE,
    )
    # MySQL has no CREATE INDEX IF NOT EXISTS, and runs an interrupted migration again.
    made = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("log_entries")}
    for name, columns in (
        ("ix_log_entries_address", ["address", "moment_us"]),
        ("ix_log_entries_kind", ["kind", "moment_us"]),
        ("ix_log_entries_name", ["name", "moment_us"]),
        ("ix_log_entries_who", ["who", "moment_us"]),
        ("ix_log_entries_whole", ["whole_us"]),
    ):
        if name not in made:
            op.create_index(name, "log_entries", columns)


def downgrade() -> None:
    """Drop the table `log_entries` with all rows."""
    op.drop_table("log_entries")
