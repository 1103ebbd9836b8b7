"""Store of which broadcast and channel a VOD with a set list is."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

from fingerprint.database import exact_text

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_TABLE = "video_set_lists"
_COLUMNS = {"channel": 64, "broadcast_id": 32}
_INDEX = "ix_video_set_lists_broadcast"


def upgrade() -> None:
    """Add columns and index, unless an interrupted run has done so; set lists that are there belong to none."""
    inspector = sa.inspect(op.get_bind())
    present = {column["name"] for column in inspector.get_columns(_TABLE)}
    for name, length in _COLUMNS.items():
        if name not in present:
            op.add_column(_TABLE, sa.Column(name, exact_text(length)))
    if _INDEX not in {index["name"] for index in inspector.get_indexes(_TABLE)}:
        op.create_index(_INDEX, _TABLE, ["broadcast_id"])


def downgrade() -> None:
    """Drop them: set lists stay."""
    op.drop_index(_INDEX, _TABLE)
    with op.batch_alter_table(_TABLE) as batch:
        for name in _COLUMNS:
            batch.drop_column(name)
