"""Corrections and what is public, in SQL: with every job store, since they are few."""

import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, delete, func, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Song
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.ports import Broadcaster
from fingerprint.records import record_of
from fingerprint.upserts import insert_new, lock
from server.audit.changes import ChangeLog
from server.owner_choices.choices import (
    ChannelChoices,
    CorrectedTime,
    Correction,
    Visibility,
    keys_of,
    longest_gap,
)
from server.owner_choices.tables import channel_visibility, play_corrections

MAX_CORRECTIONS: Final = 1_000
"""How many corrections a channel may have."""

_TABLES: Final = (play_corrections, channel_visibility)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayChange:
    """What is decided about plays of a song: when they were heard, and a title; without one, they are hidden."""

    song: Song
    time: CorrectedTime
    title: str | None = None
    artists: tuple[str, ...] = ()


class ChoiceStore:
    """Reads and changes what is decided about channels. Its methods raise TwitchAudioError `busy`.

    A channel is its login, and its id where that is known. Another one with the login inherits nothing.
    """

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def read(
        self, login: str, channel_id: str | None, known: ChannelChoices | None = None
    ) -> ChannelChoices:
        """All that is decided about a channel; `known` if nothing has changed since."""
        return await self._database.read(lambda connection: _read(connection, login, channel_id, known))

    async def corrected_among(self, logins: Collection[str]) -> frozenset[str]:
        """Those of the channels that have corrections."""
        table = play_corrections
        query = select(table.c.channel).where(table.c.channel.in_(logins)).distinct()
        return frozenset(row.channel for row in await self._database.rows(query))

    async def correct(
        self, login: str, channel_id: str | None, wanted: Sequence[PlayChange], *, made_by: str, now: datetime
    ) -> Sequence[str]:
        """Decide about plays; returns the ids of the corrections. An earlier one of the same play is changed.

        Raises TwitchAudioError `invalid-input` when the channel has `MAX_CORRECTIONS`.
        """

        def work(connection: Connection) -> Sequence[str]:
            lock(connection, "play_corrections")
            return [self._write(connection, _of(play_corrections, login, channel_id), each) for each in changes]

        shared = {"channel": login, "channel_id": channel_id, "made_by": made_by, "changed_us": to_us(now)}
        changes = [(each, shared) for each in wanted]
        return await self._database.transact(work)

    def _write(
        self, connection: Connection, mine: ColumnElement[bool], change: tuple[PlayChange, dict[str, Any]]
    ) -> str:
        wanted, shared = change
        table, time, login = play_corrections, wanted.time, str(shared["channel"])
        known = _known(connection, mine, wanted)
        values: dict[str, Any] = {
            **shared,
            "song_keys": json.dumps(sorted(keys_of(wanted.song))),
            "since_us": to_us(time.since),
            "until_us": to_us(time.until),
            "going_on": int(time.going_on),
            "broadcast_id": time.broadcast,
            "from_s": time.from_seconds,
            "to_s": time.to_seconds,
            "recording": time.recording,
            "title": wanted.title,
            "artists": json.dumps(wanted.artists),
        }
        before = _named(wanted.song.title, wanted.song.artists)
        if known is not None:
            before = _shown(_correction(known))
            number = str(known.id)
            connection.execute(update(table).where(table.c.id == number).values(**values))
        else:
            if connection.execute(select(func.count()).where(mine)).scalar_one() >= MAX_CORRECTIONS:
                raise invalid_input(
                    f"This channel has {MAX_CORRECTIONS:,} corrections, which is the most. Undo one first."
                )
            number = secrets.token_hex(8)
            was = {"was_title": wanted.song.title, "was_artists": json.dumps(wanted.song.artists)}
            insert_new(connection, table, {"id": number, **was, **values})
        what = "hide play" if wanted.title is None else "correct play"
        after = None if wanted.title is None else _named(wanted.title, wanted.artists)
        self._changes.record(connection, what, login, before=before, after=after)
        return number

    async def undo(self, login: str, channel_id: str | None, number: str) -> Correction:
        """Delete a correction, and return it. Raises TwitchAudioError `not-found`."""
        table = play_corrections
        mine = (_of(table, login, channel_id), table.c.id == number)

        def work(connection: Connection) -> Correction:
            row = connection.execute(select(table).where(*mine)).first()
            if row is None:
                raise TwitchAudioError(ProblemCode.NOT_FOUND, "This channel has no correction with this id.")
            connection.execute(delete(table).where(*mine))
            found = _correction(row)
            self._changes.record(connection, "undo correction", login, before=_shown(found))
            return found

        return await self._database.transact(work)

    async def heard_on(self, login: str, channel_id: str | None, song: Song, moment: datetime) -> None:
        """A song was heard on a channel: corrected plays of it that go on last until then, those of others end."""
        table = play_corrections
        open_here = and_(_of(table, login, channel_id), table.c.going_on == 1)

        def work(connection: Connection) -> None:
            for row in connection.execute(select(table).where(open_here)).all():
                found = _correction(row)
                this = update(table).where(table.c.id == row.id)
                if moment < found.time.until:
                    continue
                if found.keys & keys_of(song) and moment <= found.time.until + longest_gap(song):
                    longer: dict[str, Any] = {"until_us": to_us(moment)}
                    if row.to_s is not None:
                        longer["to_s"] = row.to_s + (moment - found.time.until).total_seconds()
                    connection.execute(this.values(**longer))
                else:
                    connection.execute(this.values(going_on=0))

        await self._database.transact(work)

    async def choose(
        self, login: str, channel_id: str | None, visibility: Visibility, *, made_by: str, now: datetime
    ) -> None:
        """Decide what of a channel is public."""
        table = channel_visibility

        def work(connection: Connection) -> None:
            lock(connection, "channel_visibility")
            mine = _of(table, login, channel_id)
            before = _visibility(connection, mine)[0]
            connection.execute(delete(table).where(mine))
            if visibility is not Visibility.SET_LIST:
                row = {"id": secrets.token_hex(8), "channel": login, "channel_id": channel_id}
                values = {"visibility": str(visibility), "made_by": made_by, "changed_us": to_us(now)}
                insert_new(connection, table, {**row, **values})
            if before is not visibility:
                self._changes.record(
                    connection, "set what is public", login, before=str(before), after=str(visibility)
                )

        await self._database.transact(work)


def _of(table: Table, login: str, channel_id: str | None) -> ColumnElement[bool]:
    """The rows of a channel. One with an id is not found by its login alone where another has the login."""
    if channel_id is None:
        return table.c.channel == login
    return or_(table.c.channel_id == channel_id, and_(table.c.channel == login, table.c.channel_id.is_(None)))


def _known(connection: Connection, mine: ColumnElement[bool], wanted: PlayChange) -> Any | None:
    """The correction of the same play, which may have gone on since, or of the same recording."""
    table, time = play_corrections, wanted.time
    near = (
        table.c.recording.is_(None),
        table.c.since_us <= to_us(time.until),
        table.c.until_us >= to_us(time.since),
    )
    if time.recording is not None:
        near = (table.c.recording == time.recording,)
    keys = keys_of(wanted.song)
    rows = connection.execute(select(table).where(mine, *near)).all()
    return next((row for row in rows if keys & _correction(row).keys), None)


def _read(
    connection: Connection, login: str, channel_id: str | None, known: ChannelChoices | None
) -> ChannelChoices:
    table = play_corrections
    mine = _of(table, login, channel_id)
    parts = (
        func.count(),
        func.max(table.c.changed_us),
        func.sum(table.c.changed_us % 1_000_003),
        func.max(table.c.until_us),
        func.sum(table.c.going_on),
    )
    stamp = connection.execute(select(*parts).where(mine)).one()
    visibility, changed = _visibility(connection, _of(channel_visibility, login, channel_id))
    version = " ".join(map(str, (*stamp, changed)))
    if known is not None and known.version == version:
        return known
    rows = connection.execute(select(table).where(mine).order_by(table.c.until_us.desc(), table.c.id)).all()
    corrections = tuple(_correction(row) for row in rows)
    return ChannelChoices(corrections=corrections, visibility=visibility, version=version)


def _visibility(connection: Connection, mine: ColumnElement[bool]) -> tuple[Visibility, int]:
    table = channel_visibility
    newest = select(table).where(mine).order_by(table.c.changed_us.desc()).limit(1)
    row = connection.execute(newest).first()
    return (Visibility.SET_LIST, 0) if row is None else (Visibility(row.visibility), int(row.changed_us))


def _correction(row: Any) -> Correction:
    return record_of(
        Correction,
        row,
        keys=frozenset(json.loads(row.song_keys)),
        time=CorrectedTime(
            since=from_us(row.since_us),
            until=from_us(row.until_us),
            going_on=bool(row.going_on),
            broadcast=row.broadcast_id,
            from_seconds=row.from_s,
            to_seconds=row.to_s,
            recording=row.recording,
        ),
        artists=tuple(json.loads(row.artists)),
        was_artists=tuple(json.loads(row.was_artists)),
    )


def _named(title: str, artists: Sequence[str]) -> str:
    return f"{', '.join(artists)} - {title}" if artists else title


def _shown(correction: Correction) -> str:
    return "hidden" if correction.title is None else _named(correction.title, correction.artists)


class ChoiceFollower:
    """Lets what is decided follow its channel when this is renamed."""

    def unbound(self, connection: Connection) -> Collection[str]:
        """The logins of rows that have no id yet."""
        return {
            login
            for table in _TABLES
            for login in connection.execute(
                select(table.c.channel).where(table.c.channel_id.is_(None)).distinct()
            ).scalars()
        }

    def bound(self, connection: Connection) -> Collection[str]:
        """The ids of channels of which not everything is public: under a new login, too."""
        return set(connection.execute(select(channel_visibility.c.channel_id)).scalars()) - {None}

    def follow(self, connection: Connection, account: Broadcaster) -> None:
        """Fill in the id of rows with this login, and the login of rows with this id."""
        for table in _TABLES:
            here = and_(table.c.channel == account.login, table.c.channel_id.is_(None))
            connection.execute(update(table).where(here).values(channel_id=account.id))
            moved = and_(table.c.channel_id == account.id, table.c.channel != account.login)
            connection.execute(update(table).where(moved).values(channel=account.login))


def forget_corrections(connection: Connection, traces: ChannelTraces, logins: Sequence[str]) -> int:
    """Delete the corrections of a channel; returns how many. What is public of it stays decided."""
    table = play_corrections
    here = table.c.channel.in_(logins)
    if traces.channel_id is not None:
        here = or_(table.c.channel_id == traces.channel_id, and_(here, table.c.channel_id.is_(None)))
    return connection.execute(delete(table).where(here)).rowcount
