"""The tables of this package. Moments are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Text

from fingerprint.database import exact_text, sql_table

song_hearings: Final = sql_table(
    "song_hearings",
    Column("id", exact_text(32), primary_key=True),
    Column("song_id", exact_text(64), nullable=False),
    # So that answers of a catalog and of a provider are one song.
    Column("isrc", exact_text(12)),
    Column("kind", exact_text(16), nullable=False),
    # As in the identification: login, slug or number.
    Column("target", exact_text(191), nullable=False),
    # Whose clip or VOD it is; the login of a live channel.
    Column("channel", exact_text(191)),
    Column("channel_id", exact_text(32)),
    # The newest answer.
    Column("identification_id", exact_text(64), nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    # Where it was first heard: seconds of the broadcast, the VOD or the clip.
    Column("broadcast_id", exact_text(32)),
    Column("at_s", BigInteger),
    Index("ix_song_hearings_song_last", "song_id", "last_us"),
    Index("ix_song_hearings_isrc_last", "isrc", "last_us"),
    Index("ix_song_hearings_kind_last", "kind", "last_us"),
    Index("ix_song_hearings_target", "target", "kind"),
    Index("ix_song_hearings_channel", "channel"),
    Index("ix_song_hearings_channel_id", "channel_id"),
)

finds: Final = sql_table(
    "finds",
    # Twitch's number of the account whose find it is.
    Column("user_id", exact_text(32), primary_key=True),
    Column("identification_id", exact_text(64), primary_key=True),
    Column("song_id", exact_text(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("artists", Text, nullable=False),
    Column("kind", exact_text(16), nullable=False),
    Column("target", exact_text(191), nullable=False),
    Column("channel", exact_text(191)),
    Column("channel_id", exact_text(32)),
    Column("found_us", BigInteger, nullable=False),
    Index("ix_finds_user_found", "user_id", "found_us"),
    Index("ix_finds_found", "found_us"),
    Index("ix_finds_channel", "channel"),
    Index("ix_finds_channel_id", "channel_id"),
)
"""The songs that people found who were signed in, for themselves alone."""
