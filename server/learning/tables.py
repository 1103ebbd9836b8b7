"""The tables of this package. Moments are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Text

from fingerprint.database import exact_text, sql_table

learned_songs: Final = sql_table(
    "learned_songs",
    # The song's ISRC, its id at a service, or a digest of its names.
    Column("song_key", exact_text(100), primary_key=True),
    # As the provider told it, as JSON.
    Column("song", Text, nullable=False),
    # Grows with each change of its captures, and is never used twice.
    Column("version", BigInteger, nullable=False),
    # On how many channels it was heard: one proves nothing.
    Column("channels", Integer, nullable=False),
    Index("ix_learned_songs_version", "version"),
)

learned_captures: Final = sql_table(
    "learned_captures",
    # The identification, and which of its songs.
    Column("id", exact_text(80), primary_key=True),
    Column("identification_id", exact_text(64), nullable=False),
    Column("song_key", exact_text(100), nullable=False),
    Column("kind", exact_text(16), nullable=False),
    Column("target", exact_text(191), nullable=False),
    # The channel's login and number, where they are known.
    Column("channel", exact_text(64)),
    Column("channel_id", exact_text(32)),
    # How far into the song it begins, and how long it is.
    Column("offset_s", Float(53), nullable=False),
    Column("seconds", Float(53), nullable=False),
    # When the song began on that channel.
    Column("began_us", BigInteger),
    # A fingerprint, without any sound, in Base64, and its length.
    Column("fingerprint", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("ix_learned_captures_song", "song_key", "created_us"),
    Index("ix_learned_captures_identification", "identification_id"),
    Index("ix_learned_captures_created_bytes", "created_us", "bytes"),
)
