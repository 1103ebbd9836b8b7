"""The statements of the SQL job store, built once: building one takes longer than SQLite takes to run it.

The parameters `key`, `job`, `held_fence`, `held_by` and `moment` select rows; new values have the prefix `new_`
and the column's name.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, Select, Update, bindparam, insert, or_, select, update

from fingerprint.database import heard_spans, identifications, leases
from fingerprint.domain.identification import Stage, Status
from fingerprint.job_ports import MAX_HEARD, MAX_LEASE_AHEAD_SECONDS, Lease

_OF_TARGET: Final = leases.c.target_key == bindparam("key")
# The lease's row, while no other owner has claimed the target.
_HELD: Final = (
    _OF_TARGET,
    leases.c.fence == bindparam("held_fence"),
    leases.c.owner == bindparam("held_by"),
)
# No lease is claimed for so long: see MAX_LEASE_AHEAD_SECONDS.
_TOO_FAR_AHEAD: Final = bindparam("moment", type_=BigInteger) + int(MAX_LEASE_AHEAD_SECONDS * 1e6)
_JOB: Final = identifications.c.id == bindparam("job")
_UNDER_FENCE: Final = (_JOB, identifications.c.fence == bindparam("held_fence"))
# The identification's row, while the lease allows writing it.
_WORKING: Final = (*_UNDER_FENCE, identifications.c.finished_us.is_(None))
_FINISHED: Final = (_JOB, identifications.c.finished_us.is_not(None))
_ANSWERS: Final = (str(Status.SUCCESSFUL), str(Status.NO_MATCH))


def _new(*columns: str) -> dict[str, Any]:
    return {column: bindparam(f"new_{column}") for column in columns}


def _progress(stage: Stage) -> Update:
    stages = list(Stage)
    not_later = [str(earlier) for earlier in stages[: stages.index(stage) + 1]]
    change = update(identifications).where(*_WORKING, identifications.c.stage.in_(not_later))
    return change.values(status=str(Status.RUNNING), stage=str(stage))


# --- Leases -----------------------------------------------------------------------------------------------

LEASE: Final = select(leases).where(_OF_TARGET)
CLAIM: Final = (
    update(leases)
    .where(_OF_TARGET, or_(leases.c.expires_us <= bindparam("moment"), leases.c.expires_us > _TOO_FAR_AHEAD))
    .values(fence=leases.c.fence + 1, **_new("owner", "expires_us"))
)
RENEW: Final = update(leases).where(*_HELD, leases.c.expires_us > 0).values(_new("expires_us"))
ADOPT: Final = (
    update(leases)
    .where(*_HELD, leases.c.expires_us > 0, leases.c.identification_id == bindparam("job"))
    .values(_new("owner", "fence", "expires_us"))
)
END_LEASE: Final = update(leases).where(*_HELD).values(expires_us=0)
POINT_TO: Final = update(leases).where(_OF_TARGET).values(_new("identification_id"))

# --- Identifications --------------------------------------------------------------------------------------

BY_ID: Final[Select[*tuple[Any, ...]]] = select(identifications).where(_JOB)
NEWEST_ANSWER: Final[Select[*tuple[Any, ...]]] = (
    select(identifications)
    .where(identifications.c.target_key == bindparam("key"), identifications.c.status.in_(_ANSWERS))
    .order_by(identifications.c.created_us.desc())
    .limit(1)
)
# The identification that has a live lease.
ALIVE: Final[Select[*tuple[Any, ...]]] = (
    select(identifications)
    .join(leases, leases.c.identification_id == identifications.c.id)
    .where(_OF_TARGET, leases.c.expires_us > bindparam("moment"), leases.c.expires_us <= _TOO_FAR_AHEAD)
)
BEGIN: Final = insert(identifications)
PROGRESS: Final[Mapping[Stage, Update]] = {stage: _progress(stage) for stage in Stage}
STILL_WORKING: Final = select(identifications.c.id).where(*_WORKING)
FINISH: Final = update(identifications).where(*_WORKING).values(_new("status", "stage", "finished_us", "body"))
BODY: Final = select(identifications.c.body).where(*_UNDER_FENCE)
RAISE_FENCE: Final = update(identifications).where(*_WORKING).values(_new("fence"))
GIVE_FENCE: Final = update(identifications).where(_JOB).values(_new("fence"))
GIVE_UP: Final = (
    update(identifications)
    .where(_JOB, identifications.c.finished_us.is_(None))
    .values(_new("status", "stage", "finished_us", "body"))
)
UPDATE_ANSWER: Final = update(identifications).where(*_FINISHED).values(_new("status", "body"))
MARK_DISPUTED: Final = update(identifications).where(*_FINISHED).values(_new("doubted_us"))


# --- Time lines -------------------------------------------------------------------------------------------

HEARD: Final[Select[*tuple[Any, ...]]] = (
    select(identifications)
    .join(heard_spans, heard_spans.c.identification_id == identifications.c.id)
    .where(
        heard_spans.c.broadcast_id == bindparam("of_broadcast"),
        heard_spans.c.start_s >= bindparam("first"),
        heard_spans.c.start_s <= bindparam("last"),
        identifications.c.finished_us.is_not(None),
        identifications.c.doubted_us.is_(None),
    )
    .order_by(heard_spans.c.start_s)
    .limit(MAX_HEARD)
)


def held(lease: Lease) -> dict[str, Any]:
    """The parameters that select a lease and its identification."""
    return {
        "key": lease.target_key,
        "job": lease.identification_id,
        "held_fence": lease.fence,
        "held_by": lease.owner,
    }
