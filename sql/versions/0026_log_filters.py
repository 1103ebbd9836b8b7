"""Index the audit log by what an entry is about and by problem codes."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TABLE = "log_entries"
_INDEXES = {"ix_log_entries_code": ["code", "moment_us"], "ix_log_entries_subject": ["subject", "moment_us"]}


def upgrade() -> None:
    """Add the indexes, unless an interrupted run has done so. MySQL goes on writing the log meanwhile."""
    present = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(_TABLE)}
    for name, columns in _INDEXES.items():
        if name not in present:
            op.create_index(name, _TABLE, columns)


def downgrade() -> None:
    """Drop them: entries stay."""
    for name in _INDEXES:
        op.drop_index(name, _TABLE)
