"""The tables of this package. Moments are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Text

from fingerprint.database import exact_text, sql_table

play_corrections: Final = sql_table(
    "play_corrections",
    Column("id", exact_text(32), primary_key=True),
    Column("channel", exact_text(64), nullable=False),
    # Null until Twitch has named it.
    Column("channel_id", exact_text(32)),
    # What its song is known by, as JSON.
    Column("song_keys", Text, nullable=False),
    # When it was heard first and last, and whether it went on when it was corrected.
    Column("since_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("going_on", Integer, nullable=False),
    # The same in seconds of its broadcast, where Twitch tells them.
    Column("broadcast_id", exact_text(32)),
    Column("from_s", Float),
    Column("to_s", Float),
    # The clip, or the moment of a VOD, whose answer it is about; null: it is about a play.
    Column("recording", exact_text(160)),
    # What it is called instead, artists as JSON; null: it is hidden.
    Column("title", Text),
    Column("artists", Text, nullable=False),
    # What it was recognized as, for the list of corrections.
    Column("was_title", Text, nullable=False),
    Column("was_artists", Text, nullable=False),
    # `user:NUMBER` of the owner or an operator, or `operator` on the command line.
    Column("made_by", exact_text(96), nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Index("ix_play_corrections_channel", "channel"),
    Index("ix_play_corrections_channel_id", "channel_id"),
    Index("ix_play_corrections_until", "until_us"),
)

channel_visibility: Final = sql_table(
    "channel_visibility",
    Column("id", exact_text(32), primary_key=True),
    Column("channel", exact_text(64), nullable=False),
    # Null until Twitch has named it.
    Column("channel_id", exact_text(32)),
    # `now` or `nothing`; without a row, the set list is public.
    Column("visibility", exact_text(20), nullable=False),
    Column("made_by", exact_text(96), nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Index("ix_channel_visibility_channel", "channel"),
    Index("ix_channel_visibility_channel_id", "channel_id"),
)
