"""The tables of this package. Moments are microseconds since 1970, as in `fingerprint.database`."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Text, UniqueConstraint

from fingerprint.database import exact_text, sql_table

song_tokens: Final = sql_table(
    "song_tokens",
    Column("id", exact_text(32), primary_key=True),
    # Only this hash of the token is stored.
    Column("sha256", exact_text(64), nullable=False),
    Column("channel", exact_text(64), nullable=False),
    # Null until Twitch has named it.
    Column("channel_id", exact_text(32)),
    Column("note", exact_text(200), nullable=False),
    # `operator`, or `user:NUMBER` for the channel's owner.
    Column("made_by", exact_text(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    Column("used_us", BigInteger),
    UniqueConstraint("sha256", name="uq_song_tokens_sha256"),
    Index("ix_song_tokens_channel", "channel"),
)

channel_askers: Final = sql_table(
    "channel_askers",
    Column("channel", exact_text(64), primary_key=True),
    # A hash that differs from channel to channel; kept for a minute.
    Column("asker", exact_text(32), primary_key=True),
    Column("seen_us", BigInteger, nullable=False),
    Index("ix_channel_askers_seen", "seen_us"),
)

hot_channels: Final = sql_table(
    "hot_channels",
    Column("channel", exact_text(64), primary_key=True),
    # Until when it is listened to.
    Column("until_us", BigInteger, nullable=False),
    # `owner` is the server that listens until `lease_us`.
    Column("owner", exact_text(191), nullable=False),
    Column("lease_us", BigInteger, nullable=False),
)

reports: Final = sql_table(
    "reports",
    Column("id", exact_text(32), primary_key=True),
    Column("identification_id", exact_text(64), nullable=False),
    # Who reported: `user:NUMBER`, `key:ID`, or a hash that differs from answer to answer.
    Column("reporter", exact_text(96), nullable=False),
    Column("kind", exact_text(16), nullable=False),
    Column("target", exact_text(191), nullable=False),
    Column("reason", exact_text(20), nullable=False),
    Column("note", exact_text(500), nullable=False),
    # What the answer said then, for the operator's list.
    Column("song", exact_text(300), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # When the operator was done with it.
    Column("handled_us", BigInteger),
    UniqueConstraint("identification_id", "reporter", name="uq_reports_identification_reporter"),
    Index("ix_reports_created", "created_us"),
    Index("ix_reports_target_created", "target", "created_us"),
)

watches: Final = sql_table(
    "watches",
    Column("channel", exact_text(64), primary_key=True),
    Column("every_seconds", Integer, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("state", exact_text(20), nullable=False),
    # Why the watch ended.
    Column("reason", exact_text(40)),
    # `operator`, `user:NUMBER`, `key:ID`, or `owner:NUMBER` for the channel's owner.
    Column("made_by", exact_text(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Column("last_us", BigInteger),
    # Tries in a row without a match, and with a stream that is not live.
    Column("quiet", Integer, nullable=False),
    Column("offline", Integer, nullable=False),
    # `owner` is the server that works on it until `lease_us`; `fence` grows with each that takes it.
    Column("owner", exact_text(191), nullable=False),
    Column("lease_us", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    # Null until Twitch has named it.
    Column("channel_id", exact_text(32)),
    Index("ix_watches_state_next", "state", "next_us"),
)

unknowns: Final = sql_table(
    "unknowns",
    # The identification that found no song.
    Column("id", exact_text(64), primary_key=True),
    Column("kind", exact_text(16), nullable=False),
    Column("target", exact_text(191), nullable=False),
    # The channel's login and number, where they are known.
    Column("channel", exact_text(64)),
    Column("channel_id", exact_text(32)),
    # When its first sound began, which may be before that of the answer.
    Column("captured_us", BigInteger),
    Column("seconds", Float, nullable=False),
    # Fingerprints of its sound, as JSON, and their length.
    Column("pieces", Text(2**24 - 1), nullable=False),
    Column("bytes", Integer, nullable=False),
    # Up to which generation of which catalog it was searched for, as JSON.
    Column("searched", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # When it was named, and the song.
    Column("named_us", BigInteger),
    Column("song", exact_text(300), nullable=False),
    # One server at a time searches for it, until then.
    Column("lease_us", BigInteger, nullable=False),
    Index("ix_unknowns_created_bytes", "created_us", "bytes"),
    Index("ix_unknowns_named", "named_us"),
)

video_set_lists: Final = sql_table(
    "video_set_lists",
    Column("video", exact_text(32), primary_key=True),
    Column("status", exact_text(16), nullable=False),
    # `user:NUMBER`, or `key:ID`.
    Column("made_by", exact_text(64), nullable=False),
    # Whose VOD it is, where that was asked.
    Column("channel_id", exact_text(32)),
    # Its channel's login and its broadcast, as far as its address tells.
    Column("channel", exact_text(64)),
    Column("broadcast_id", exact_text(32)),
    # The tracklist so far, and the problem that ended it, as JSON.
    Column("body", Text(2**24 - 1), nullable=False),
    Column("problem", Text),
    Column("captured_s", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    # `owner` is the server that works on it until `lease_us`; `fence` grows with each that takes it.
    Column("owner", exact_text(191), nullable=False),
    Column("lease_us", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Index("ix_video_set_lists_status_created", "status", "created_us"),
    Index("ix_video_set_lists_made_by_created", "made_by", "created_us"),
    Index("ix_video_set_lists_broadcast", "broadcast_id"),
)
