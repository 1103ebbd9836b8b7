"""The tables of this package. Moments are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Text

from fingerprint.database import exact_text, sql_table

webhooks: Final = sql_table(
    "webhooks",
    Column("id", exact_text(32), primary_key=True),
    # `key:ID`, or `user:NUMBER` of an operator.
    Column("owner", exact_text(64), nullable=False),
    Column("url", Text, nullable=False),
    # Separated by commas.
    Column("events", exact_text(100), nullable=False),
    Column("channels", Text, nullable=False),
    # The ids of these channels in the same order, empty where Twitch has not named one yet; null: of none.
    Column("channel_ids", Text),
    # As it is: signing takes the secret itself.
    Column("secret", exact_text(100), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # Why nothing is sent any more; null while it is.
    Column("disabled", exact_text(200)),
    Column("failing_us", BigInteger),
    Column("last_us", BigInteger),
    Column("last_error", exact_text(200)),
    Index("ix_webhooks_owner", "owner"),
)

webhook_deliveries: Final = sql_table(
    "webhook_deliveries",
    # The `webhook-id` of the message.
    Column("id", exact_text(64), primary_key=True),
    Column("webhook_id", exact_text(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # When it is tried next; null once it was delivered or given up.
    Column("due_us", BigInteger),
    Column("lease_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_webhook_deliveries_due", "due_us"),
    Index("ix_webhook_deliveries_webhook", "webhook_id", "created_us"),
    Index("ix_webhook_deliveries_created", "created_us"),
)
