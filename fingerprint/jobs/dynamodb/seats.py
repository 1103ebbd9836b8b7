"""The seats of targets: who may work on a target, claimed, renewed and given back by conditional writes."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from fingerprint.domain.identification import Identification, Kind, Status
from fingerprint.domain.targets import Target
from fingerprint.job_ports import MAX_LEASE_AHEAD_SECONDS, Lease
from fingerprint.jobs.dynamodb.expiry import Expiry
from fingerprint.jobs.dynamodb.expressions import MINE, mine, setting, values_of
from fingerprint.jobs.dynamodb.items import (
    Seat,
    answer_text,
    expired,
    moment,
    number,
    question,
    seat_key,
    text,
    to_us,
)
from fingerprint.jobs.dynamodb.places import JobTables
from fingerprint.ports import Clock

ANSWERS: Final = (Status.SUCCESSFUL, Status.NO_MATCH)


class Seats:
    """The seats in both tables."""

    def __init__(self, tables: JobTables, *, clock: Clock, expiry: Expiry) -> None:
        self._tables = tables
        self._clock = clock
        self._expiry = expiry

    async def find(self, target: Target) -> Seat | None:
        """The target's seat; None where nothing was ever asked about it."""
        table, _ = self._tables.of_kind(target.kind)
        item = await table.get(seat_key(target))
        if item is None:
            return None
        seat = Seat.of(item)
        # An expired answer is ignored, but the token goes on growing.
        return replace(seat, done=True, answer=None, answer_id=None) if expired(item, self._clock.now()) else seat

    async def claim(
        self,
        seat: Seat | None,
        target: Target,
        work: Identification,
        *,
        owner: str,
        now: datetime,
        lease_seconds: float,
    ) -> Lease | None:
        """Claim the seat; returns the lease, or None when another server was faster."""
        table, _ = self._tables.of_kind(target.kind)
        key, token = seat_key(target), secrets.token_hex(8)
        fence = 1 if seat is None else seat.fence + 1
        expires_at = now + timedelta(seconds=lease_seconds)
        fields: dict[str, Any] = {
            **question(target),
            "Fence": number(fence),
            "Owner": text(owner),
            "LeaseUntil": number(to_us(expires_at)),
            "ClaimToken": text(token),
            "JobId": text(work.id),
            "JobCreatedAt": moment(work.created_at),
            "Done": {"BOOL": False},
        }
        if seat is None or seat.answer is None or seat.answer.status is not Status.SUCCESSFUL:
            fields |= self._expiry.of_item(now)
        if seat is None or (seat.answer is None and seat.answer_id is None):
            fields |= self._expiry.of_unanswered(now)
        change, when = setting(fields), "attribute_not_exists(#Fence)"
        values: dict[str, Any] = {}
        if seat is not None:
            when = "#Fence = :seen AND (#Done = :done OR #LeaseUntil <= :now OR #LeaseUntil > :far)"
            far = now + timedelta(seconds=MAX_LEASE_AHEAD_SECONDS)
            values = {":seen": number(seat.fence), ":done": {"BOOL": True}}
            values |= {":now": number(to_us(now)), ":far": number(to_us(far))}
            if seat.answer is None and seat.answer_id is None:
                change += " REMOVE #Answer, #AnswerId, #DoubtedAt"
        taken = await table.update(key, change, when=when, values={**values, **values_of(fields)})
        if taken is None:
            written = await table.get(key)
            if written is None or Seat.of(written).claim_token != token:
                return None
        return Lease(identification_id=work.id, target_key=key, owner=owner, fence=fence, expires_at=expires_at)

    async def adopt(self, lease: Lease, *, owner: str, now: datetime, lease_seconds: float) -> Seat | None:
        """Hand a lease that is held over to another owner, with the next fencing token; None when it is over."""
        table = self._tables.of_seat(lease.target_key)
        expires_at = now + timedelta(seconds=lease_seconds)
        token = secrets.token_hex(8)
        item = await table.update(
            lease.target_key,
            "SET #Fence = :next, #Owner = :owner, #LeaseUntil = :until, #ClaimToken = :token",
            when="#Fence = :fence AND #Owner = :before AND #LeaseUntil > :over",
            values={
                ":fence": number(lease.fence),
                ":next": number(lease.fence + 1),
                ":before": text(lease.owner),
                ":owner": text(owner),
                ":until": number(to_us(expires_at)),
                ":over": number(0),
                ":token": text(token),
            },
        )
        if item is None:
            item = await table.get(lease.target_key)
            if item is None or Seat.of(item).claim_token != token:
                return None
        return Seat.of(item)

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        """Extend a lease; None when it is over or another owner has it."""
        expires_at = now + timedelta(seconds=lease_seconds)
        held = await self._tables.of_seat(lease.target_key).update(
            lease.target_key,
            "SET #LeaseUntil = :until",
            when=f"{MINE} AND #LeaseUntil > :over",
            values={**mine(lease), ":until": number(to_us(expires_at)), ":over": number(0)},
        )
        return None if held is None else replace(lease, expires_at=expires_at)

    async def release(self, lease: Lease) -> None:
        """Give a lease back, so that another server can claim the target at once."""
        await self._tables.of_seat(lease.target_key).update(
            lease.target_key,
            "SET #LeaseUntil = :over",
            when=MINE,
            values={**mine(lease), ":over": number(0)},
        )

    async def close(self, lease: Lease, answer: Identification) -> None:
        """End the lease of a job that has ended, and store its answer in the seat."""
        fields: dict[str, Any] = {"LeaseUntil": number(0), "Done": {"BOOL": True}}
        change = ""
        if answer.status in ANSWERS:
            fields["AnswerId"] = text(answer.id)
            change = " REMOVE #DoubtedAt"
            if answer.kind is not Kind.STREAM:
                fields["Answer"] = text(answer_text(answer))
            stays = answer.kind is not Kind.STREAM and answer.status is Status.SUCCESSFUL
            change += ", #ExpiresAt" if stays or self._expiry.keep is None else ""
        await self._tables.of_seat(lease.target_key).update(
            lease.target_key,
            setting(fields) + change,
            when=MINE,
            values={**mine(lease), **values_of(fields)},
        )


def lease_of(seat: Seat, target: Target) -> Lease:
    """The lease stored in a seat, whichever server holds it."""
    return Lease(
        identification_id=seat.left.id,
        target_key=seat_key(target),
        owner=seat.owner,
        fence=seat.fence,
        expires_at=seat.lease_until,
    )
