"""`twitchaudio admin logs`: what happened, newest first."""

import argparse
import json
from collections.abc import Mapping

from fingerprint.domain.targets import name_from
from fingerprint.wire import time_to_json
from server.audit.entries import AuditEntry, AuditKind
from server.audit.search import AuditFilter
from server.audit.store import AuditStore
from server.cli.listing import Cell, print_list
from server.cli.with_database import with_database


def list_logs(arguments: argparse.Namespace) -> None:
    """Print the newest entries of the audit log that match."""
    chosen = AuditFilter(
        kinds=[AuditKind(kind) for kind in arguments.kind or ()],
        who=None if arguments.who is None else name_from(arguments.who),
        address=arguments.address,
        subject=None if arguments.subject is None else name_from(arguments.subject),
        code=arguments.code,
        since=arguments.since,
        until=arguments.until,
        limit=arguments.limit,
    )
    entries = with_database(lambda database: AuditStore(database).read(chosen))
    if arguments.json:
        for entry in entries:
            print(_as_json(entry))
    else:
        print_list([_as_row(entry) for entry in entries], as_json=False)


def _as_json(entry: AuditEntry) -> str:
    return json.dumps(
        {
            "time": time_to_json(entry.moment),
            "kind": entry.kind,
            "who": entry.who.id,
            "name": entry.who.name,
            "address": entry.who.address,
            "what": entry.what,
            "subject": entry.subject,
            "code": entry.code,
            "status": entry.status,
            "ms": entry.ms,
            "before": entry.before,
            "after": entry.after,
            "request_id": entry.request_id,
        }
    )


def _as_row(entry: AuditEntry) -> Mapping[str, Cell]:
    who = entry.who.id
    if who is not None and entry.who.name is not None and who != f"cli:{entry.who.name}":
        who += f" ({entry.who.name})"
    change = f"{entry.before or 'empty'} -> {entry.after or 'empty'}"
    return {
        "when": entry.moment,
        "kind": str(entry.kind),
        "who": who,
        "address": entry.who.address,
        "what": " ".join(part for part in (entry.what, entry.subject) if part),
        "status": entry.status,
        "code": entry.code,
        "ms": None if entry.ms is None else round(entry.ms),
        "change": change if entry.kind is AuditKind.CHANGE else None,
    }
