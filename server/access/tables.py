"""The tables of access control. Moments are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import Column, Table, Text

from fingerprint.database import MYSQL_TABLE, exact_text, metadata

website_settings: Final = Table(
    "website_settings",
    metadata,
    Column("name", exact_text(64), primary_key=True),
    Column("value", Text, nullable=False),
    **MYSQL_TABLE,
)
"""What an operator changes while servers run. The row `version` changes with every rule, here and elsewhere."""
