"""Webhooks and their deliveries in SQL. A delivery's row is its lease: one server at a time sends it."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, Final

from sqlalchemy import Row, case, delete, func, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.ports import Broadcaster
from fingerprint.records import record_of
from fingerprint.setting_formats import Secret
from fingerprint.upserts import insert_new, lock
from server.audit.changes import ChangeLog
from server.leases import CLOCKS_APART, lease_is_over
from server.webhooks.messages import EventType, Message, Webhook, new_secret
from server.webhooks.tables import webhook_deliveries, webhooks

MOST_OF_OWNER: Final = 10
MOST: Final = 1_000
MOST_WAITING: Final = 500
"""How many messages wait for one webhook; the oldest are dropped beyond it."""

KEPT: Final = timedelta(hours=1)
"""How long it is remembered that a message was sent."""

GIVEN_UP_AFTER: Final = timedelta(days=3)
"""After failing for so long, a webhook is disabled."""

LEASE_SECONDS: Final = 30.0

WAITS: Final = (5.0, 60.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0)
"""Seconds from each failed attempt to the next one; after the last, a message is given up."""

_WAITS_US: Final = {attempts: int(seconds * 1e6) for attempts, seconds in enumerate((0.0, *WAITS))}

_Channel = tuple[str, str | None]
"""A channel's login, and its id where Twitch has named it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that is to be sent to a webhook, after some attempts."""

    message: Message
    webhook: Webhook
    attempts: int


class WebhookStore:
    """Keeps webhooks, and the messages that are to be sent."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def put(
        self,
        owner: str,
        url: str,
        *,
        events: Sequence[EventType],
        channels: Sequence[str],
        now: datetime,
        webhook_id: str | None = None,
    ) -> tuple[Webhook, bool]:
        """Create a webhook, or change the owner's with this id or else this address; whether it is new.

        One that was disabled is enabled again. Raises TwitchAudioError `not-found`, `invalid-input`, `busy`.
        """
        values: dict[str, str | None] = {
            "url": url,
            "events": ",".join(events),
            "channels": ",".join(channels),
            "disabled": None,
            "failing_us": None,
        }

        def write(connection: Connection) -> tuple[str, bool]:
            lock(connection, "webhooks")
            mine = connection.execute(select(webhooks).where(webhooks.c.owner == owner)).all()
            known = next(
                (row for row in mine if row.id == webhook_id or (not webhook_id and row.url == url)), None
            )
            if known is not None:
                ids = dict(_channels(known))
                values["channel_ids"] = ",".join(ids.get(login) or "" for login in channels)
                connection.execute(update(webhooks).where(webhooks.c.id == known.id).values(**values))
                self._changes.record(connection, "change webhook", known.id, before=known.url, after=url)
                return str(known.id), False
            if webhook_id is not None:
                raise _unknown()
            if len(mine) >= MOST_OF_OWNER:
                raise invalid_input(f"You have {MOST_OF_OWNER} webhooks, which is the most. Delete one first.")
            if connection.execute(select(func.count()).select_from(webhooks)).scalar_one() >= MOST:
                raise TwitchAudioError(
                    ProblemCode.BUSY, "This server has no room for more webhooks.", retry_after_seconds=3_600.0
                )
            new = {"id": secrets.token_hex(8), "owner": owner, "secret": new_secret().reveal()}
            insert_new(connection, webhooks, {**values, **new, "created_us": to_us(now)})
            self._changes.record(connection, "add webhook", new["id"], after=url)
            return new["id"], True

        def work(connection: Connection) -> tuple[Webhook, bool]:
            written, created = write(connection)
            # Read here, so that nothing fails after it is stored.
            return _webhook(connection.execute(select(webhooks).where(webhooks.c.id == written)).one()), created

        return await self._database.transact(work)

    async def get(self, owner: str, webhook_id: str) -> Webhook:
        """The owner's webhook. Raises TwitchAudioError `not-found`, `busy`."""
        mine = (webhooks.c.owner == owner, webhooks.c.id == webhook_id)
        row = await self._database.first(select(webhooks).where(*mine))
        if row is None:
            raise _unknown()
        return _webhook(row)

    async def all(self, owner: str) -> Sequence[Webhook]:
        """The owner's webhooks, the oldest first."""
        statement = (
            select(webhooks).where(webhooks.c.owner == owner).order_by(webhooks.c.created_us, webhooks.c.id)
        )
        return [_webhook(row) for row in await self._database.rows(statement)]

    async def active(self) -> Sequence[Webhook]:
        """All webhooks that are told of events."""
        return [
            _webhook(row)
            for row in await self._database.rows(select(webhooks).where(webhooks.c.disabled.is_(None)))
        ]

    async def delete(self, owner: str, webhook_id: str) -> None:
        """Delete a webhook and what is to be sent to it. Raises TwitchAudioError `not-found`, `busy`."""

        def work(connection: Connection) -> None:
            gone = delete(webhooks).where(webhooks.c.owner == owner, webhooks.c.id == webhook_id)
            if not connection.execute(gone).rowcount:
                raise _unknown()
            connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id))
            self._changes.record(connection, "delete webhook", webhook_id)

        await self._database.transact(work)

    # --- Deliveries -------------------------------------------------------------------------------------

    async def add(self, messages: Iterable[tuple[Webhook, Message]], *, now: datetime) -> None:
        """Store messages to be sent; those that are known already are not stored again."""
        table = webhook_deliveries
        chosen = list(messages)

        def work(connection: Connection) -> None:
            for webhook, message in chosen:
                values = {
                    "id": message.id,
                    "webhook_id": webhook.id,
                    "body": message.body.decode(),
                    "created_us": to_us(now),
                    "due_us": to_us(now),
                    "lease_us": 0,
                    "attempts": 0,
                }
                insert_new(connection, table, values)
            for webhook_id in {webhook.id for webhook, _ in chosen}:
                mine = (table.c.webhook_id == webhook_id, table.c.due_us.is_not(None))
                oldest = select(table.c.created_us).where(*mine).order_by(table.c.created_us.desc())
                beyond = connection.execute(oldest.offset(MOST_WAITING).limit(1)).scalar()
                if beyond is not None:
                    connection.execute(delete(table).where(*mine, table.c.created_us <= beyond))

        if chosen:
            await self._database.transact(work)

    async def take(
        self, *, now: datetime, limit: int, at_once: int, under_way: Mapping[str, int]
    ) -> Sequence[Delivery]:
        """Lease up to `limit` messages that are due, of each owner at most `at_once` less what is `under_way`."""
        table = webhook_deliveries
        # One that waits for longer than any after so many attempts was put off by a clock that was ahead.
        waits = case(_WAITS_US, value=table.c.attempts, else_=max(_WAITS_US.values()))
        due = or_(table.c.due_us <= to_us(now), table.c.due_us > to_us(now + CLOCKS_APART) + waits)
        free = (due, lease_is_over(table.c.lease_us, now))
        lease = to_us(now + timedelta(seconds=LEASE_SECONDS))
        place = func.row_number().over(partition_by=webhooks.c.owner, order_by=(table.c.due_us, table.c.id))
        ranked = (
            select(table.c.id, table.c.due_us, webhooks.c.owner, place.label("place"))
            .join_from(table, webhooks, webhooks.c.id == table.c.webhook_id, isouter=True)
            .where(*free)
            .subquery()
        )
        # The first of each owner first.
        fair = select(ranked.c.id, ranked.c.owner, ranked.c.place).where(ranked.c.place <= at_once)
        first = await self._database.rows(
            fair.order_by(ranked.c.place, ranked.c.due_us, ranked.c.id).limit(limit + sum(under_way.values()))
        )
        due = [row.id for row in first if row.place + under_way.get(row.owner or "", 0) <= at_once][:limit]
        if not due:
            return []

        def work(connection: Connection) -> list[Delivery]:
            taken: list[Delivery] = []
            for message_id in due:
                this = table.c.id == message_id
                values = {"lease_us": lease, "attempts": table.c.attempts + 1}
                if not connection.execute(update(table).where(this, *free).values(**values)).rowcount:
                    continue
                row = connection.execute(select(table).where(this)).one()
                whose = connection.execute(select(webhooks).where(webhooks.c.id == row.webhook_id)).first()
                if whose is None or whose.disabled is not None:
                    connection.execute(update(table).where(this).values(due_us=None))
                    continue
                message = Message(id=row.id, body=str(row.body).encode())
                taken.append(Delivery(message=message, webhook=_webhook(whose), attempts=row.attempts))
            return taken

        return await self._database.transact(work)

    async def delivered(self, delivery: Delivery, *, now: datetime) -> None:
        """Record that a message has arrived."""

        def work(connection: Connection) -> None:
            self._set_due(connection, delivery, None)
            values = {"failing_us": None, "last_us": to_us(now), "last_error": None}
            connection.execute(update(webhooks).where(webhooks.c.id == delivery.webhook.id).values(**values))

        await self._database.transact(work)

    async def failed(self, delivery: Delivery, error: str, *, now: datetime, is_gone: bool = False) -> None:
        """Record a failed attempt, after which a message is tried again some time later, or given up.

        `is_gone`: the receiver wants no more of them.
        """
        webhook = delivery.webhook
        again = delivery.attempts <= len(WAITS) and not is_gone
        wait = timedelta(seconds=WAITS[delivery.attempts - 1]) if again else None
        since = webhook.failing_since or now
        values: dict[str, Any] = {"failing_us": to_us(since), "last_error": error[:200]}
        if is_gone:
            values["disabled"] = "The address answered 410 Gone."
        elif now - since >= GIVEN_UP_AFTER:
            values["disabled"] = f"It has failed for {GIVEN_UP_AFTER.days} days: {error}"[:200]

        def work(connection: Connection) -> None:
            self._set_due(connection, delivery, None if wait is None else to_us(now + wait))
            connection.execute(update(webhooks).where(webhooks.c.id == webhook.id).values(**values))
            if "disabled" in values:
                _send_no_more(connection, [webhook.id])

        await self._database.transact(work)

    async def drop(self, delivery: Delivery) -> None:
        """Send a message no more."""
        await self._database.transact(lambda connection: self._set_due(connection, delivery, None))

    async def disable(self, owner: str, reason: str) -> None:
        """Send nothing more to the webhooks of an owner who may have none any more."""
        mine = (webhooks.c.owner == owner, webhooks.c.disabled.is_(None))

        def work(connection: Connection) -> None:
            active = list(connection.execute(select(webhooks.c.id).where(*mine)).scalars())
            connection.execute(update(webhooks).where(*mine).values(disabled=reason[:200]))
            _send_no_more(connection, active)

        await self._database.transact(work)

    async def delete_old(self, *, now: datetime) -> None:
        """Forget messages that were sent or given up."""
        table = webhook_deliveries
        old = (table.c.created_us < to_us(now - KEPT), table.c.due_us.is_(None))
        await self._database.change(delete(table).where(*old))

    def _set_due(self, connection: Connection, delivery: Delivery, due_us: int | None) -> None:
        this = webhook_deliveries.c.id == delivery.message.id
        connection.execute(update(webhook_deliveries).where(this).values(due_us=due_us, lease_us=0))


def _send_no_more(connection: Connection, webhook_ids: Sequence[str]) -> None:
    waiting = (webhook_deliveries.c.webhook_id.in_(webhook_ids), webhook_deliveries.c.due_us.is_not(None))
    connection.execute(update(webhook_deliveries).where(*waiting).values(due_us=None))


class WebhookFollower:
    """Lets webhooks follow their channels when these are renamed."""

    def unbound(self, connection: Connection) -> Collection[str]:
        """The logins of channels that have no id yet."""
        return {login for row in _following(connection) for login, known in _channels(row) if known is None}

    def bound(self, connection: Connection) -> Collection[str]:
        """The ids of channels that have one."""
        return {known for row in _following(connection) for _, known in _channels(row) if known is not None}

    def follow(self, connection: Connection, account: Broadcaster) -> None:
        """Fill in the id of channels with this login, and the login of those with this id; each is named once."""
        for row in _following(connection):
            before = _channels(row)
            after = {
                known or login: (login, known)
                for login, known in (_followed(channel, account) for channel in before)
            }
            if [*after.values()] != before:
                changed = {
                    "channels": ",".join(login for login, _ in after.values()),
                    "channel_ids": ",".join(known or "" for _, known in after.values()),
                }
                connection.execute(update(webhooks).where(webhooks.c.id == row.id).values(**changed))


def _following(connection: Connection) -> Sequence[Any]:
    """The webhooks that are told of events and name channels, at most MOST."""
    told = (webhooks.c.disabled.is_(None), webhooks.c.channels != "")
    columns = (webhooks.c.id, webhooks.c.channels, webhooks.c.channel_ids)
    return connection.execute(select(*columns).where(*told).order_by(webhooks.c.id)).all()


def _followed(channel: _Channel, account: Broadcaster) -> _Channel:
    login, known = channel
    if known == account.id or (known is None and login == account.login):
        return account.login, account.id
    return channel


def _channels(row: Any) -> list[_Channel]:
    """The channels of a row."""
    logins = [login for login in row.channels.split(",") if login]
    ids = (row.channel_ids or "").split(",")
    return [(login, known or None) for login, known in zip_longest(logins, ids[: len(logins)])]


def _unknown() -> TwitchAudioError:
    return TwitchAudioError(ProblemCode.NOT_FOUND, "You have no webhook with this id.")


def _webhook(row: Row[Any]) -> Webhook:
    return record_of(
        Webhook,
        row,
        events=tuple(EventType(each) for each in row.events.split(",")),
        channels=tuple(login for login, _ in _channels(row)),
        channel_ids=tuple(channel_id for _, channel_id in _channels(row)),
        secret=Secret(row.secret),
        failing_since=None if row.failing_us is None else from_us(row.failing_us),
        last_delivery_at=None if row.last_us is None else from_us(row.last_us),
    )
