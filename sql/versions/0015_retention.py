"""Indexes that find old answers, and the leases that point to them."""  # noqa: INP001 - Alembic loads it by its path

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_identifications_kind_status_created", "identifications", ["kind", "status", "created_us"]),
    ("ix_leases_identification", "leases", ["identification_id"]),
)


def upgrade() -> None:
    """Make them. MySQL has no CREATE INDEX IF NOT EXISTS, and a migration that was cut off there is run again."""
    for name, table, columns in _INDEXES:
        if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
            op.create_index(name, table, columns)


def downgrade() -> None:
    """Drop them."""
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
