"""The filter of the page of logs: its form, its query parameters, and the address of the next page."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from yarl import URL

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.targets import name_from
from server.audit.entries import AuditKind
from server.audit.search import AuditFilter, AuditPage, Position
from server.web.admin.sections import Form, FormField

PAGE: Final = 100
ANY: Final = "any"
# Microseconds and an id: whole numbers of 63 bits.
_POSITION: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)

FIELDS: Final = (
    FormField(name="kind", label="Kind", choices=(ANY, *(str(kind) for kind in AuditKind)), value=ANY),
    FormField(name="who", label="Who", help="A login or a key's name, or id:NUMBER, key:ID, cli:NAME."),
    FormField(name="address", label="IP address"),
    FormField(name="subject", label="About", help="A channel, a clip's slug, a path, or what was changed."),
    FormField(name="code", label="Problem code", help="Such as rate-limited."),
    FormField(name="until", label="Before", help="A moment, such as 2026-03-01T12:00:00Z."),
)


def read_filter(query: Form) -> AuditFilter:
    """The filter in a query, for a page of entries. Raises TwitchAudioError `invalid-input`."""
    kind = query.text("kind") or ANY
    if kind != ANY and kind not in tuple(AuditKind):
        raise invalid_input(f"Kind takes one of {', '.join(AuditKind)}.")
    return AuditFilter(
        kinds=() if kind == ANY else (AuditKind(kind),),
        who=name_from(query.text("who")) or None,
        address=query.text("address") or None,
        subject=name_from(query.text("subject")) or None,
        code=query.text("code") or None,
        until=_moment(query.text("until")),
        before=_position(query.text("before")),
        limit=PAGE,
    )


def _position(text: str) -> Position | None:
    if not text:
        return None
    found = _POSITION.fullmatch(text)
    if found is None:
        raise invalid_input("This address of a page of logs is not whole. Search again.")
    return Position(int(found[1]), int(found[2]))


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid_input("Before takes a moment with its offset, such as 2026-03-01T12:00:00Z.")
    return moment


def older(query: Mapping[str, str], page: AuditPage) -> str | None:
    """The address of the next page, or None when this is the last."""
    if page.next is None:
        return None
    return str(URL("/admin/logs").with_query({**query, "before": f"{page.next.moment_us}-{page.next.id}"}))
