"""When the lease of a row is over, by which one server at a time works on it, and what clocks are believed."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, or_

from fingerprint.database import to_us

CLOCKS_APART: Final = timedelta(minutes=1)
"""How far apart the clocks of servers may be: a clock that was ahead noted what comes later than that."""

LONGEST: Final = timedelta(minutes=10)
"""No lease lasts longer; it is renewed meanwhile."""


def lease_is_over(lease_us: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    """Whether a lease has ended; one that ends later than any may was taken by a clock that was ahead.

    A clock that was set back would otherwise have the row wait for as long as that.
    """
    return or_(lease_us <= to_us(now), lease_us > to_us(now + LONGEST))
