"""Add indexes to find old answers and the leases that refer to them."""  # noqa: INP001 - Alembic loads it by its path

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
    """Create the indexes that are missing: MySQL has no IF NOT EXISTS, and runs an interrupted migration again."""
    for name, table, columns in _INDEXES:
        if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
            op.create_index(name, table, columns)


def downgrade() -> None:
    """Drop the indexes that `upgrade` created."""
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
