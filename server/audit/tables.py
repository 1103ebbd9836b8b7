"""SQL tables of the audit log. Columns `*_us` are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Text

from fingerprint.database import exact_text, sql_table

log_entries: Final = sql_table(
    "log_entries",
    # Ordered by time, as entries are inserted, read and deleted; the id is random.
    Column("moment_us", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", exact_text(16), nullable=False),
    Column("who", exact_text(64)),
    Column("name", exact_text(100)),
    Column("address", exact_text(45)),
    # Equal to `moment_us` until the address is truncated, then NULL.
    Column("whole_us", BigInteger),
    Column("what", exact_text(150), nullable=False),
    Column("subject", exact_text(200)),
    Column("code", exact_text(32)),
    Column("status", Integer),
    Column("ms", Float(53)),
    Column("before_value", Text),
    Column("after_value", Text),
    Column("request_id", exact_text(32)),
    Index("ix_log_entries_address", "address", "moment_us"),
    Index("ix_log_entries_code", "code", "moment_us"),
    Index("ix_log_entries_kind", "kind", "moment_us"),
    Index("ix_log_entries_name", "name", "moment_us"),
    Index("ix_log_entries_subject", "subject", "moment_us"),
    Index("ix_log_entries_who", "who", "moment_us"),
    Index("ix_log_entries_whole", "whole_us"),
)

daily_figures: Final = sql_table(
    "daily_figures",
    # The UTC day, such as 2026-03-01.
    Column("day", exact_text(10), primary_key=True),
    Column("name", exact_text(64), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)
"""Counts of events by day: a few dozen rows a day, kept permanently."""
