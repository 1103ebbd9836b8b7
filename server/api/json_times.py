"""Times as the API reads and writes them (RFC 3339)."""

import contextlib
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from fingerprint.wire import time_from_json, time_to_json

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def moment_from(text: str) -> datetime | None:
    """The moment in an RFC 3339 time with its offset; None for any other text."""
    with contextlib.suppress(ValueError, OverflowError):
        if datetime.fromisoformat(text).tzinfo is not None:
            return time_from_json(text)
    return None


def time_text(moment: datetime) -> str:
    """The moment as the API writes it."""
    text = time_to_json(moment)
    assert text is not None, "a time is written as text"
    return text
