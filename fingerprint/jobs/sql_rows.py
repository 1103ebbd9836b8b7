"""Rows of the table of identifications as values, and targets as its keys."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row

from fingerprint.database import from_us
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Stage, Status
from fingerprint.domain.targets import Target
from fingerprint.wire import from_json

_KEY_LIMIT: Final = 191


def target_key(target: Target) -> str:
    """The target's key, or its hash when it is too long for the column."""
    key = target.key
    if len(key) <= _KEY_LIMIT and key.isprintable():
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def identification_of(row: Row[Any]) -> Identification:
    """The identification in a row of the table."""
    if row.body is not None:
        return dataclasses.replace(from_json(json.loads(row.body)), disputed=row.doubted_us is not None)
    return Identification(
        id=IdentificationId(row.id),
        kind=Kind(row.kind),
        target=row.target,
        **_moment_of(row),
        status=Status(row.status),
        stage=Stage(row.stage),
        created_at=from_us(row.created_us),
    )


def moment_column(asked: Identification) -> float | None:
    """The moment that was asked for: of a VOD, seconds from its start; of a live channel, seconds since 1970.

    These are negative where so long ago was asked for, and not that time.
    """
    if asked.asked_at is None:
        return asked.at_seconds
    return asked.asked_at.timestamp() * (1 if asked.asked_ago is None else -1)


def _moment_of(row: Row[Any]) -> dict[str, Any]:
    """The inverse of `moment_column`, as fields of an identification."""
    if Kind(row.kind) is not Kind.STREAM or row.at_seconds is None:
        return {"at_seconds": row.at_seconds}
    asked_at = datetime.fromtimestamp(abs(row.at_seconds), UTC)
    if row.at_seconds > 0:
        return {"asked_at": asked_at}
    ago = (from_us(row.created_us) - asked_at).total_seconds()
    return {"asked_at": asked_at, "asked_ago": round(max(0.0, ago), 3)}
