"""SQL tables of access control. Columns `*_us` are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Text, UniqueConstraint

from fingerprint.database import exact_text, sql_table

website_settings: Final = sql_table(
    "website_settings",
    Column("name", exact_text(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Settings that the operator changes at run time. The row `version` changes with every rule in any table."""

recognizer_overrides: Final = sql_table(
    "recognizer_overrides",
    Column("name", exact_text(32), primary_key=True),
    Column("value", Text, nullable=False),
)
"""The order and the budgets of recognizers that hold in place of the settings'."""

api_keys: Final = sql_table(
    "api_keys",
    Column("id", exact_text(32), primary_key=True),
    # The key itself is not stored.
    Column("sha256", exact_text(64), nullable=False),
    Column("shown", exact_text(16), nullable=False),
    Column("name", exact_text(100), nullable=False),
    Column("scopes", exact_text(100), nullable=False),
    Column("per_minute", Integer),
    Column("per_day", Integer),
    Column("at_once", Integer),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("used_us", BigInteger),
    UniqueConstraint("sha256", name="uq_api_keys_sha256"),
)

rate_counters: Final = sql_table(
    "rate_counters",
    # See `Limit.subject`, such as `key:ID:minute`.
    Column("subject", exact_text(128), primary_key=True),
    Column("window_us", BigInteger, primary_key=True, autoincrement=False),
    Column("used", Integer, nullable=False),
    Column("ends_us", BigInteger, nullable=False, server_default="0"),
    Index("ix_rate_counters_ends", "ends_us"),
)

job_slots: Final = sql_table(
    "job_slots",
    # The quota key: `address:192.0.2.7`, `address:2001:db8::/64`, `key:ID`.
    Column("holder", exact_text(80), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("token", exact_text(32), nullable=False),
    Column("kind", exact_text(16), nullable=False),
    Column("target", exact_text(191), nullable=False),
    Column("at_seconds", Float(53)),
    Column("taken_us", BigInteger, nullable=False),
    # 0 once the job has ended.
    Column("expires_us", BigInteger, nullable=False),
    Index("ix_job_slots_taken", "taken_us"),
)

clip_owners: Final = sql_table(
    "clip_owners",
    Column("slug", exact_text(128), primary_key=True),
    Column("broadcaster_id", exact_text(32), nullable=False),
    Column("login", exact_text(64), nullable=False),
    Column("seen_us", BigInteger, nullable=False),
)

blacklisted_values: Final = sql_table(
    "blacklisted_values",
    Column("kind", exact_text(20), primary_key=True),
    Column("value", exact_text(150), primary_key=True),
    # The operator's reason, shown to the operator only.
    Column("note", exact_text(200), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # The account that a login stands for; null until Twitch has named it, and for other values.
    Column("user_id", exact_text(32)),
)

whitelisted_users: Final = sql_table(
    "whitelisted_users",
    Column("value", exact_text(150), primary_key=True),
    Column("note", exact_text(200), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # The account that a login stands for; null until Twitch has named it, and for other values.
    Column("user_id", exact_text(32)),
)

access_codes: Final = sql_table(
    "access_codes",
    Column("id", exact_text(32), primary_key=True),
    Column("sha256", exact_text(64), nullable=False),
    Column("note", exact_text(200), nullable=False),
    Column("most_uses", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    UniqueConstraint("sha256", name="uq_access_codes_sha256"),
)

access_code_uses: Final = sql_table(
    "access_code_uses",
    # First in the key, because queries look uses up by user.
    Column("user_id", exact_text(32), primary_key=True),
    Column("code_id", exact_text(32), primary_key=True),
    Column("redeemed_us", BigInteger, nullable=False),
)

web_sessions: Final = sql_table(
    "web_sessions",
    # Hash of the session id in the cookie.
    Column("sha256", exact_text(64), primary_key=True),
    Column("user_id", exact_text(32), nullable=False),
    Column("login", exact_text(64), nullable=False),
    # Twitch scopes, separated by spaces.
    Column("scopes", Text, nullable=False),
    # Access token and refresh token, encrypted; see `session_keys`.
    Column("tokens", Text, nullable=False),
    Column("token_expires_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    # When Twitch last confirmed the access token.
    Column("validated_us", BigInteger, nullable=False),
    # Until when one server has the exclusive right to refresh the tokens; 0 when none has it.
    Column("refreshing_us", BigInteger, nullable=False),
    # When a server has to validate, end or delete the session next.
    Column("due_us", BigInteger, nullable=False),
    # When the session ended; the row is deleted once Twitch has revoked the token.
    Column("ended_us", BigInteger),
    Index("ix_web_sessions_user_created", "user_id", "created_us"),
    Index("ix_web_sessions_due", "due_us"),
)
"""Sessions of the website. The cookie holds only the id, so that a session can be ended on the server."""

subscribe_broadcasters: Final = sql_table(
    "subscribe_broadcasters",
    Column("user_id", exact_text(32), primary_key=True),
    # The login when the broadcaster was added, for display.
    Column("login", exact_text(64), nullable=False),
    Column("note", exact_text(200), nullable=False),
    Column("created_us", BigInteger, nullable=False),
)
"""Broadcasters whose subscribers may ask in `subscribers` mode."""
